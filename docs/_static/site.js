// The explorers' frames follow the page: light or dark, and as high as what they show. By messages,
// as a page that was opened from disk may not reach into its frames, nor they into it.
const frames = () => [...document.querySelectorAll("iframe.explorer")];

function tellTheme() {
  const { theme } = document.body.dataset;
  document.documentElement.dataset.theme = theme; // where the explorers look first, if they may
  for (const frame of frames()) frame.contentWindow.postMessage({ theme }, "*");
}

addEventListener("message", ({ data, source }) => {
  const frame = frames().find(({ contentWindow }) => contentWindow === source);
  if (!frame || !data.height) return;
  frame.style.height = `${data.height}px`;
  tellTheme();
});

addEventListener("DOMContentLoaded", () => {
  new MutationObserver(tellTheme).observe(document.body, { attributeFilter: ["data-theme"] });
  tellTheme();
});
