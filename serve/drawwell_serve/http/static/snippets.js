// The same picture in other places: curl, Python and URL.

import { chosen, toJson } from "./server.js";

const PLAIN = /^[\p{L}\p{N} ._&/()+-]+$/u; // names that need no escape in JSON, Python and a shell

/** @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/**
 * @param {{choice: import("./server.js").Choice, index: bigint, digest: string, classes: string[], hasKey: boolean, page: string}} picture
 * @returns {[string, string][]} a name and a text each
 */
export function snippets({ choice, index, digest, classes, hasKey, page }) {
  const base = new URL(".", page).href.replace(/\/$/, ""), { seed } = choice;
  const key = hasKey ? ' -H "Authorization: Bearer $DRAWWELL_KEY"' : "";
  const isPlain = choice.label === null && choice.spread === 1;
  const url = `${base}/images/${digest}/${seed}/${index}.png`;
  const fields = chosen(choice), name = choice.label === null ? "" : classes[choice.label];
  const isName = PLAIN.test(name) && classes.indexOf(name) === choice.label; // of two classes with one name, the server takes the first
  const named = isName ? { ...fields, labels: name } : fields;
  const body = toJson({ seed, start: index, ...named });
  const post = `curl ${quoted(`${base}/generate`)}${key} -H 'Content-Type: application/json' -H 'Accept: image/png' -d '${body}' -o ${seed}-${index}.png`;
  const options = Object.entries(named).map(([field, value]) => `, ${field}=${JSON.stringify(value)}`).join("");
  const python = [
    "import drawwell", "",
    `generator = drawwell.open(${JSON.stringify(base)})${hasKey ? "  # reads the key from DRAWWELL_KEY" : ""}`,
    `image = generator.generate(seed=${seed}, indices=[${index}]${options}).images[0]`,
  ];
  return [
    ["curl", isPlain ? `curl ${quoted(url)}${key} -o ${seed}-${index}.png` : post],
    ["Python", python.join("\n")],
    ["URL", isPlain ? url : page],
  ];
}
