// Requests to the server: an answer, or an error with the server's own words.

const MOST_WAIT = 10;

export class Fault extends Error {}

function wait(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}

async function answer(path, options) {
  let found;
  try {
    found = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Fault("The server does not answer. Was it ended?");
  }
  if (found.ok) return found;
  const told = await found.json().catch(() => ({ error: `${found.status} ${found.statusText}` }));
  const fault = new Fault([told.error, told.hint].filter(Boolean).join("\n"));
  fault.status = found.status;
  fault.retryAfter = Number(found.headers.get("Retry-After")) || 0;
  throw fault;
}

// A queue that is full says when to come again.
export async function ask(path, options = {}) {
  for (;;) {
    try {
      return await answer(path, options);
    } catch (error) {
      if (error.status !== 503 || !error.retryAfter) throw error;
      await wait(Math.min(error.retryAfter, MOST_WAIT), options.signal);
    }
  }
}

export const askJson = async (path, options) => (await ask(path, options)).json();

export function form(files, fields = {}) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.append(name, value);
  for (const file of files) data.append("file", file, file.name);
  return data;
}

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// Asks for a job until it has ended; tells each answer's rows.
export async function follow(id, told, signal) {
  let next = 0;
  for (;;) {
    const job = await askJson(`/jobs/${id}?rows_from=${next}`, { signal });
    next = job.rows_from + job.rows.length;
    told(job);
    if (next < job.rows_total) continue;
    if (job.state === "done") return job;
    if (job.state === "failed") throw new Fault([job.error, job.hint].filter(Boolean).join("\n"));
    if (job.state === "cancelled") return job;
    await wait(0.3, signal);
  }
}
