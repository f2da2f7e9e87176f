"""Data sets in miniature, laid out as users hold them."""

from pathlib import Path

import numpy as np
from PIL import Image

IMAGES = {".png", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff"}

CLASSES = ["blast/anna-1.png", "blast/ben-1.png", "healthy/anna-1.png"]
CNMC = [
    "fold_0/all/UID_1_2_1_all.bmp",
    "fold_0/hem/UID_H3_1_1_hem.bmp",
    "fold_1/hem/UID_h3_1_2_hem.bmp",
]
ALL_IDB1 = ["im/Im001_1.jpg", "im/Im002_1.jpg", "im/Im034_0.jpg"]
ALL_IDB2 = ["img/Im001_1.tif", "img/Im131_0.tif"]
ALL_4CLASS_A = [
    f"{edition}/{folder}/WBC-{name}-001.jpg"
    for edition in ["Original", "Segmented"]
    for folder, name in [
        ("Benign", "Benign"),
        ("Early", "Malignant-Early"),
        ("Pre", "Malignant-Pre"),
        ("Pro", "Malignant-Pro"),
    ]
]
ALL_4CLASS_B = [
    f"Blood cell Cancer [ALL]/{folder}/Sap_013 ({number}).jpg"
    for number, folder in enumerate(
        ["Benign", "[Malignant] early Pre-B", "[Malignant] Pre-B", "[Malignant] Pro-B"]
    )
]
PBC = [
    f"PBC_dataset_normal_DIB/{name}"
    for name in [
        "basophil/BA_1.jpg",
        "eosinophil/EO_2.jpg",
        "erythroblast/ERB_3.jpg",
        "ig/IG_4.jpg",
        "ig/MMY_5.jpg",
        "ig/MY_6.jpg",
        "ig/PMY_7.jpg",
        "lymphocyte/LY_8.jpg",
        "monocyte/MO_9.jpg",
        "neutrophil/BNE_10.jpg",
        "neutrophil/NEUTROPHIL_11.jpg",
        "neutrophil/SNE_12.jpg",
        "platelet/PLATELET_13.jpg",
    ]
]
RAABIN = [
    "Train/Train/Basophil/95-5-1-1_1.jpg",
    "Train/Train/Lymphocyte/95-5-1-1_2.jpg",
    "TestA/Lymphocyte/95-5-1-1_3.jpg",
    "TestB/lymphocyte/4.jpg",
]


def write(root: Path, names: list[str]) -> Path:
    """Write small images, and empty files where the name is of none."""
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix.lower() in IMAGES:
            Image.new("RGB", (4, 4)).save(file)
        else:
            file.touch()
    return root


def write_bloodmnist(root: Path, name: str = "bloodmnist.npz", **arrays: np.ndarray) -> Path:
    """Write BloodMNIST with 2, 1 and 1 images of 28 pixels; `arrays` replace its own."""
    sizes = {"train": 2, "val": 1, "test": 1}
    rows = iter(range(4))
    content = {}
    for fold, size in sizes.items():
        numbers = np.array([next(rows) for _ in range(size)], np.uint8)
        content[f"{fold}_images"] = np.tile(numbers[:, None, None, None], (1, 28, 28, 3))
        content[f"{fold}_labels"] = numbers[:, None]
    np.savez(root / name, **content | arrays)
    return root / name
