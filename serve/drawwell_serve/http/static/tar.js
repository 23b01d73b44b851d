// The files of a tar archive (POSIX ustar), as the server writes it.

const BLOCK = 512;

/**
 * The files by name, in order. Throws if the archive was cut off: its last file is a record.
 * @param {ArrayBuffer} archive
 * @returns {Map<string, Uint8Array<ArrayBuffer>>}
 */
export function untar(archive) {
  const files = new Map();
  for (let place = 0; place + BLOCK <= archive.byteLength; ) {
    const name = text(archive, place, 100);
    if (!name) break;
    const length = parseInt(text(archive, place + 124, 12), 8);
    files.set(name, new Uint8Array(archive, place + BLOCK, length));
    place += BLOCK * (1 + Math.ceil(length / BLOCK));
  }
  if (!files.delete("__drawwell__")) throw new Error("The pictures broke off.");
  return files;
}

/** Text up to the first zero byte. @param {ArrayBuffer} archive @param {number} begin @param {number} length */
function text(archive, begin, length) {
  const bytes = new Uint8Array(archive, begin, length), end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/**
 * An archive of these files.
 * @param {[string, Blob][]} files a name in ASCII of at most 99 characters, and a content each
 */
export function tar(files) {
  const parts = files.flatMap(([name, content]) => [header(name, content.size), content, new Uint8Array(-content.size & (BLOCK - 1))]);
  return new Blob([...parts, new Uint8Array(2 * BLOCK)], { type: "application/x-tar" });
}

/** @param {string} name @param {number} size */
function header(name, size) {
  const block = new Uint8Array(BLOCK);
  const put = (/** @type {number} */ place, /** @type {string} */ ascii) => block.set(new TextEncoder().encode(ascii), place);
  const octal = (/** @type {number} */ number, /** @type {number} */ digits) => number.toString(8).padStart(digits, "0");
  put(0, name);
  put(100, `0000644\0${"0000000\0".repeat(2)}`); // mode, user and group
  put(124, `${octal(size, 11)} ${octal(0, 11)} `); // and a time that is always the same
  put(148, " ".repeat(8)); // the checksum counts as spaces
  put(156, "0");
  put(257, "ustar\0" + "00");
  put(148, `${octal(block.reduce((sum, byte) => sum + byte, 0), 6)}\0 `);
  return block;
}
