// Follows the theme chosen in Airflow's UI, which stores it for this origin; without a choice, the system's preference.
// Runs before the first paint, so that no page flashes in the wrong theme. It also hides the notes for browsers without
// JavaScript.
{
  const follow = () => {
    let chosen = null;
    try {
      chosen = localStorage.getItem("theme");
    } catch {
      // storage may be blocked: use the system's preference
    }
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme;
  };
  follow();
  addEventListener("storage", follow);
  document.documentElement.dataset.scripts = "on";
}
