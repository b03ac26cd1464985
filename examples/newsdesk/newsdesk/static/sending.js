// Moves the bar of an edition that is being sent: by server-sent events, or by asking where those do not come through.

const count = document.querySelector("[data-status]");
const bar = document.querySelector("progress");
const announcement = document.querySelector("[role=status]");
const WORDS = { done: "Sent", failed: "Stopped by an error", cancelled: "Cancelled" };
const EVERY = 1000; // milliseconds between two questions
const MISSES = 3; // attempts at events without one, before it asks instead
const STEP = 25; // percent between two announcements to those who listen

let sent = Number(count.dataset.sent);
let total = Number(count.dataset.total);
let announced = 0;
let missed = 0;

/** Show how far the sending is. */
function show({ state, final, progress }) {
  if (progress?.total) {
    sent = progress.done;
    total = progress.total;
  } else if (state === "done") {
    sent = total;
  }
  bar.max = total || 1;
  bar.value = total ? sent : 1;
  const word = WORDS[state] ?? (state === "running" || sent ? "Sending" : "Waiting to be sent");
  const text = `${word}: ${sent} of ${total} messages.`;
  count.textContent = text;
  const quarter = total ? Math.floor((100 * sent) / total / STEP) : 0;
  if (final || quarter > announced) {
    announced = quarter;
    announcement.textContent = text;
  }
}

async function ask() {
  try {
    const answer = await fetch(count.dataset.status);
    if (answer.ok) {
      const status = await answer.json();
      show(status);
      if (status.final) return;
    }
  } catch {
    // The network is away; it may come back.
  }
  setTimeout(ask, EVERY);
}

const events = new EventSource(count.dataset.events);
events.onmessage = (event) => {
  missed = 0;
  const status = JSON.parse(event.data);
  show(status);
  if (status.final) events.close();
};
events.onerror = () => {
  missed += 1;
  if (events.readyState === EventSource.CLOSED || missed >= MISSES) {
    events.close();
    ask();
  }
};
