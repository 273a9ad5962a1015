// Runs before the first paint, as a classic script of its own file (the policy allows no inline one), so that a page that is
// wanted dark never flashes white. It says only what is drawn: composables/useTheme.ts takes over.
;(function () {
  var theme = 'system'
  try {
    theme = JSON.parse(localStorage.getItem('flashweb.settings') || '{}').theme
  } catch (error) {
    // storage is forbidden or damaged: as the system
  }
  var dark = theme === 'dark' || (theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.dataset.theme = dark ? 'dark' : 'light'
})()
