(() => {
  "use strict";
  const table = document.getElementById("main");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const filter = document.getElementById("filter");
  const baselines = document.getElementById("baselines");
  const count = document.getElementById("count");

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

  // On paper nothing can be opened.
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((details) => { details.open = true; });
  });
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => sortBy(column));
  });
  filter.addEventListener("input", show);
  baselines.addEventListener("change", show);
  show();
})();
