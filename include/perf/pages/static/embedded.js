// Airflow's UI embeds the pages in an iframe. A link to Airflow itself must open in the outer window.
if (window.parent !== window) {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-outer]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    try {
      const parentDocument = window.parent.document;
      const outer = parentDocument.createElement("a");
      outer.href = link.href;
      parentDocument.body.append(outer);
      event.preventDefault();
      outer.click();
      outer.remove();
    } catch {
      // embedded by another origin: follow the link inside the frame
    }
  });
}
