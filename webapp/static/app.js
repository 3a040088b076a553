// Comforts only: every page works without this file.

// A second click must not send a form twice.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (button) setTimeout(() => { button.disabled = true; });
});
// The page may come back from the browser's memory, where the button is still off.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) document.querySelectorAll("form [type=submit]:disabled").forEach((b) => { b.disabled = false; });
});

// After a refused form, begin with what to correct.
const errors = document.getElementById("errors");
if (errors) errors.focus();
