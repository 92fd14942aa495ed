// Sets the chosen theme before the first paint; the choice itself is made in the settings page and the account menu.
(function () {
  try {
    const theme = localStorage.getItem('packhouse.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be switched off; the system's theme is used then.
  }
})();
