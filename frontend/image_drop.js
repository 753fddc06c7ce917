// Picture files on their way to the sheet: dropped on it, pasted anywhere, or chosen.

/**
 * `sheet` is where a file may be dropped, `input` the file input; `isText(target)` says where pasting means text.
 * `onFile(file, name)` gets one file, which may be anything, and the name to call it by.
 */
export function followImages({ sheet, input, isText, onFile }) {
  const hasFile = ({ dataTransfer }) => dataTransfer?.types.includes("Files") ?? false;
  let over = 0; // elements of the sheet that a file is over now: the events come for each of them

  function setOver(count) {
    over = count;
    sheet.toggleAttribute("data-drop", over > 0);
  }

  sheet.addEventListener("dragenter", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault(); // by the standard, or else the sheet is not what the file is dropped on
    setOver(over + 1);
  });
  sheet.addEventListener("dragleave", (event) => hasFile(event) && setOver(Math.max(0, over - 1)));
  sheet.addEventListener("dragover", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  sheet.addEventListener("drop", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    setOver(0);
    const [file] = event.dataTransfer.files;
    if (file !== undefined) onFile(file, file.name);
  });
  keepPage(hasFile);

  document.addEventListener("paste", (event) => {
    const { files } = event.clipboardData;
    if (isText(event.target) || files.length === 0) return;
    event.preventDefault();
    onFile([...files].find(({ type }) => type.startsWith("image/")) ?? files[0], "the pasted picture");
  });

  input.addEventListener("change", () => {
    const [file] = input.files;
    if (file !== undefined) onFile(file, file.name);
    input.value = ""; // so that the same file can be chosen again
  });
}

/** A file that misses the sheet is not opened in place of the page, and its drawing with it. */
function keepPage(hasFile) {
  for (const kind of ["dragover", "drop"]) {
    document.addEventListener(kind, (event) => {
      if (!hasFile(event) || event.defaultPrevented || event.target.closest?.("input[type=file]")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "none";
    });
  }
}
