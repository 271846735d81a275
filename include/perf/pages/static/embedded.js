// Within Airflow's UI the pages stand in a frame; a link to Airflow itself leads the whole window there.
if (window.parent !== window) {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-outer]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    try {
      const around = window.parent.document;
      const outer = around.createElement("a");
      outer.href = link.href;
      around.body.append(outer);
      event.preventDefault();
      outer.click();
      outer.remove();
    } catch {
      // another site embeds us: the link works as any other
    }
  });
}
