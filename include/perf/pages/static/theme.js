// Follows the theme that is chosen in Airflow's UI, which keeps it for this origin; without a choice, the reader's.
// Runs before anything is drawn, so that no page flashes in the other one, and hides what is said to those without
// scripts.
{
  const follow = () => {
    let chosen = null;
    try {
      chosen = localStorage.getItem("theme");
    } catch {
      // storage may be forbidden; then the reader's own preference holds
    }
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme;
  };
  follow();
  addEventListener("storage", follow);
  document.documentElement.dataset.scripts = "on";
}
