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

// How long a cart is held, second by second. Without this file the page says how many minutes there were.
const clock = document.querySelector("[data-until]");
if (clock) {
  const until = Date.parse(clock.dataset.until);
  const tick = () => {
    const left = Math.max(0, Math.round((until - Date.now()) / 1000));
    clock.textContent = left ? `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : clock.dataset.over;
    if (!left) clearInterval(timer);
  };
  const timer = setInterval(tick, 1000);
  tick();
}
