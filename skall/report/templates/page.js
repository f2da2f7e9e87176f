(() => {
  "use strict";
  const table = document.getElementById("main");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const filter = document.getElementById("filter");
  const baselines = document.getElementById("baselines");
  const all = document.getElementById("all");
  const count = document.getElementById("count");
  const boxes = [...document.querySelectorAll(".scroll")];

  const keyOf = (row, column) => row.cells[column].dataset.sort;

  function compare(a, b, isNumeric) {
    // What has no value goes last, whichever way it is sorted.
    if (a === "" || b === "") return [(a === "") - (b === ""), false];
    return [isNumeric ? Number(a) - Number(b) : a.localeCompare(b), true];
  }

  function sortBy(column) {
    const rows = [...body.rows];
    const keys = rows.map((row) => keyOf(row, column)).filter((key) => key !== "");
    const isNumeric = keys.every((key) => key.trim() !== "" && Number.isFinite(Number(key)));
    // Numbers begin with the largest, names with A.
    const first = isNumeric ? "descending" : "ascending";
    const second = isNumeric ? "ascending" : "descending";
    const order = heads[column].getAttribute("aria-sort") === first ? second : first;
    const sign = order === "ascending" ? 1 : -1;
    rows.sort((a, b) => {
      const [difference, isTurned] = compare(keyOf(a, column), keyOf(b, column), isNumeric);
      return isTurned ? sign * difference : difference;
    });
    heads.forEach((head) => head.setAttribute("aria-sort", "none"));
    heads[column].setAttribute("aria-sort", order);
    body.append(...rows);
  }

  function show() {
    const wanted = filter.value.trim().toLowerCase();
    let n = 0;
    for (const row of body.rows) {
      const isBaseline = row.classList.contains("baseline");
      const isShown = row.cells[0].dataset.sort.toLowerCase().includes(wanted)
        && (baselines.checked || !isBaseline);
      row.hidden = !isShown;
      n += isShown;
    }
    count.textContent = `${n} of ${body.rows.length} estimators`;
  }

  // What goes on beyond the right edge fades out there.
  function fade(box) {
    box.classList.toggle("more", box.scrollWidth - box.clientWidth - box.scrollLeft > 2);
  }

  function showColumns() {
    table.classList.toggle("brief", !all.checked);
    document.getElementById("first").classList.toggle("all", all.checked);
    boxes.forEach(fade);
  }

  // On paper nothing can be opened.
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((details) => { details.open = true; });
  });
  window.addEventListener("afterprint", () => {
    closed.forEach((details) => { details.open = false; });
  });
  const observer = new ResizeObserver((entries) => entries.forEach(({ target }) => fade(target)));
  boxes.forEach((box) => {
    box.addEventListener("scroll", () => fade(box), { passive: true });
    observer.observe(box);
  });
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => sortBy(column));
  });
  filter.addEventListener("input", show);
  baselines.addEventListener("change", show);
  all.addEventListener("change", showColumns);
  show();
  showColumns();
})();
