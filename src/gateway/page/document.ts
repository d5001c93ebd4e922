/** The page at `/` as HTML. `html` escapes everything that it is given, except what it made itself. */
import { html, raw } from 'hono/html';
import { SCRIPT, STYLE } from './assets.ts';
import type { Entry, PageContent, Section } from './content.ts';
import { head } from './head.ts';
import { quoted } from './lines.ts';

/** @param origin where the deployment answers: the lines to try take it as `$URL`. */
export function pageDocument({ sections, live }: PageContent, origin: string): string {
  const served = sections.filter(({ entries }) => entries.length > 0);
  return String(html`<!doctype html>
<html lang="en">
${head('Millrace', STYLE.text)}
<body>
<header>
<h1>Millrace</h1>
<p>A Postgres database and ONNX models next to the people who use them. Events come in; the cached answers, features and predictions that depend on what changed are invalidated, and no others.</p>
<p>This deployment serves ${summary(served)}.</p>
<nav aria-label="On this page"><ul>
<li><a href="#live">Try it live</a></li>
${served.map(({ id, title, entries }) => html`<li><a href="#${id}">${title} (${entries.length})</a></li>`)}
</ul></nav>
<nav aria-label="For people"><ul>
<li><a href="/models">Models: versions, cards, measurements, aliases</a></li>
<li><a href="/dashboards">Dashboards: executive, technical, operational</a></li>
<li><a href="/docs">Routes</a></li>
</ul></nav>
<nav aria-label="For machines"><ul>
<li><a href="/openapi.json">OpenAPI 3.1</a></li>
<li><a href="/v1/events/types">Event types as JSON Schema</a></li>
<li><a href="/health/ready">Health</a></li>
</ul></nav>
</header>
<main>
${liveSection(live.events.length > 0, live.models.length > 0)}
<section aria-labelledby="lines">
<h2 id="lines">Lines to try</h2>
<p>Each entry below has one. They take the address and the key from two variables of the shell. <span class="access">public</span> answers without the key; <span class="access closed">key</span> needs it.</p>
${line(`URL=${quoted(origin)}\nKEY=…   # the key of this deployment`)}
</section>
${served.map(section)}
</main>
<script type="application/json" id="live-data">${raw(embeddedJson(live))}</script>
<script type="module">${raw(SCRIPT.text)}</script>
</body>
</html>
`);
}

function summary(served: readonly Section[]): string {
  if (served.length === 0) return 'nothing yet: its catalog is empty';
  return served
    .map(({ title, entries: { length } }) => {
      const noun = title.toLowerCase();
      return `${length} ${length === 1 ? noun.replace(/ies$/, 'y').replace(/s$/, '') : noun}`;
    })
    .join(', ');
}

function section({ id, title, intro, entries }: Section) {
  return html`<section aria-labelledby="${id}">
<h2 id="${id}">${title}</h2>
<p>${intro}</p>
${entries.map(entry)}
</section>
`;
}

function entry({ name, facts, description, isPublic, line: text }: Entry) {
  return html`<article>
<h3>${name} ${isPublic ? html`<span class="access">public</span>` : html`<span class="access closed">key</span>`}</h3>
<p><code>${facts}</code></p>
<p>${prose(description)}</p>
${line(text)}
</article>
`;
}

/** A description as text, with the words between backticks as code. */
function prose(description: string) {
  return description.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part));
}

/** A region that scrolls has to be reachable by the keyboard. */
function line(text: string) {
  return html`<pre tabindex="0"><code>${text}</code></pre>`;
}

/** The controls are hidden until the script runs, because they do nothing without it. */
function liveSection(hasEvents: boolean, hasModels: boolean) {
  return html`<section id="live" aria-labelledby="live-title">
<h2 id="live-title">Try it live</h2>
<p id="without-script">This part needs JavaScript. The lines below do the same in a shell.</p>
<div id="controls" hidden>
<div class="field">
<label for="key">Key</label>
<input id="key" type="password" autocomplete="off" spellcheck="false" aria-describedby="key-hint">
<p id="key-hint" class="hint"><code>npm run dev</code> prints one. It stays in the memory of this page: it is not stored, and is sent to this deployment alone, in the header <code>Authorization</code>.</p>
</div>
${hasEvents ? eventForm() : html`<p>No event type of the catalog has an example, so there is none to send here.</p>`}
${hasModels ? modelForm() : ''}
</div>
</section>
`;
}

function eventForm() {
  return html`<form id="event-form" aria-labelledby="event-title">
<h3 id="event-title">Follow an event</h3>
<p>Reads some answers, which fills the cache, sends an event with a new id, and reads them again: the answers that depend on the event are fresh, the others stay hits. The event is stored like any other.</p>
<div class="field"><label for="event-type">Event type</label><select id="event-type"></select></div>
<div class="field"><label for="event-data">Its data (JSON)</label><textarea id="event-data" rows="9" spellcheck="false"></textarea></div>
<div class="field"><label for="addresses">Addresses to compare, one a line</label><textarea id="addresses" rows="8" spellcheck="false"></textarea></div>
<button>Send and follow</button>
<ol id="steps" aria-live="polite" aria-label="What has happened"></ol>
<div id="comparison" aria-label="Answers before and after" role="group"></div>
</form>
`;
}

function modelForm() {
  return html`<form id="model-form" aria-labelledby="model-title">
<h3 id="model-title">Ask a model</h3>
<div class="field"><label for="model">Model</label><select id="model"></select></div>
<div class="field"><label for="model-address">Address</label><input id="model-address" type="text" spellcheck="false" autocomplete="off"></div>
<button>Ask</button>
<div id="model-answer" aria-live="polite"></div>
</form>
`;
}

/** JSON inside a script element: without `<`, no text in it can end the element or begin a comment. */
function embeddedJson(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}
