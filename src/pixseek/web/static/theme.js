// Before anything is drawn, so that nothing flashes: the theme that was chosen, if one was.

(() => {
  const chosen = localStorage.getItem('pixseek:theme');
  if (chosen === 'dark' || chosen === 'light') document.documentElement.dataset.theme = chosen;
  if (localStorage.getItem('pixseek:side') === 'no') document.documentElement.classList.add('no-side');
})();
