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
