"use strict";
// What all pages share: the data, elements made of text (never of markup), numbers, files to save.
const DATA = JSON.parse(document.getElementById("data").textContent);

function element(name, options = {}, ...children) {
  const made = name.startsWith("svg:") ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4))
    : document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (value === null || value === undefined) continue;
    if (key === "text") made.textContent = visible(value);
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

// Control characters and those that turn the direction of text, as escapes: no name looks like another.
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]/g;

function visible(text) {
  return String(text).replace(CONTROLS, (found) => {
    const code = found.charCodeAt(0);
    return code < 256 ? "\\x" + code.toString(16).padStart(2, "0") : "\\u" + code.toString(16).padStart(4, "0");
  });
}

// A share as a percentage that is 100 or 0 only where the share is 1 or 0.
function share(value) {
  if (value === null || Number.isNaN(value)) return "–";
  if (value === 0 || value === 1) return `${100 * value}%`;
  if (value < 0.0005) return "<0.1%";
  return value >= 0.9995 ? ">99.9%" : `${(100 * value).toFixed(1)}%`;
}

function number(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return Math.abs(value) >= 1e-3 || Math.abs(value) < 1e-12 ? value.toFixed(digits) : value.toExponential(2);
}

// A cell of a CSV (RFC 4180). Text that a spreadsheet would compute gets an apostrophe; numbers stay as they are.
function csvCell(text) {
  let cell = String(text);
  if (/^[=+\-@\t\r]/.test(cell) && !/^[+-]?\d*\.?\d+(e[+-]?\d+)?$/i.test(cell)) cell = "'" + cell;
  return /[",\r\n]/.test(cell) ? '"' + cell.replaceAll('"', '""') + '"' : cell;
}

function csvText(columns, rows) {
  return [columns, ...rows].map((row) => row.map(csvCell).join(",") + "\n").join("");
}

function save(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = element("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function colour(index) {
  return `c${index % 16}`;
}
