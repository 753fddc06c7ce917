// Text and pictures onto the clipboard.

/** Returns whether it worked; by the old way where the page is not on localhost or https, which the new one needs. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** A picture, given as the promise of a PNG blob; returns whether it worked. There is no old way for pictures. */
export async function copyImage(png) {
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
    return true;
  } catch {
    return false;
  }
}
