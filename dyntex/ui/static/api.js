// Questions to the server. What it refuses becomes an Error with its sentence.

async function answer(response) {
  if (response.ok) return response.json();
  const words = await response.text();
  let sentence = words;
  try {
    sentence = JSON.parse(words).error;
  } catch { /* plain text */ }
  throw new Error(sentence || `the server answered ${response.status}`);
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("the server does not answer: is dyntex ui still running?");
  }
  return answer(response);
}

export const get = (path) => ask(path);
export const post = (path, data = {}) => ask(path, { method: "POST", body: JSON.stringify(data) });
export const remove = (path) => ask(path, { method: "DELETE" });

/** Send a file; progress is called with the share that was sent. */
export function upload(file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/clips?name=${encodeURIComponent(file.name)}`);
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onload = () => answer(new Response(request.responseText, { status: request.status })).then(resolve, reject);
    request.onerror = () => reject(new Error("the upload broke off: the file is too large, or the server was stopped"));
    request.send(file);
  });
}

/** A result in a format: waits until it is written, then lets the browser save it. */
export async function download(job, format, waiting) {
  const path = `/api/jobs/${job}/download/${format}`;
  for (;;) {
    const response = await fetch(path, { headers: { Range: "bytes=0-0" } });
    if (response.status === 202) {
      waiting();
      await new Promise((done) => setTimeout(done, 700));
      continue;
    }
    if (!response.ok) await answer(response);
    break;
  }
  const link = document.createElement("a");
  link.href = path;
  link.download = "";
  link.click();
}
