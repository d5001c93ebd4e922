/** The pages at `/dashboards` as HTML: one document, whose script reads everything with the reader's key. */
import { html, raw } from 'hono/html';
import { DASHBOARDS_SCRIPT, DASHBOARDS_STYLE } from './assets.ts';
import { head } from './head.ts';

/** The dashboards, by the last part of their address. */
export const DASHBOARDS = ['executive', 'technical', 'operational'] as const;

/** The document has no data, so it needs no key and is the same for every deployment. */
export function dashboardsDocument(): string {
  return String(html`<!doctype html>
<html lang="en">
${head('Dashboards: Millrace', DASHBOARDS_STYLE.text)}
<body>
<a class="skip" href="#main">Skip to the numbers</a>
<header class="bar">
<a class="brand" href="/">Millrace</a>
<nav aria-label="Dashboards"><ul>
${DASHBOARDS.map((name) => html`<li><a href="/dashboards/${name}" data-tab="${name}">${name.charAt(0).toUpperCase()}${name.slice(1)}</a></li>`)}
</ul></nav>
<nav aria-label="Elsewhere"><ul>
<li><a href="/models">Models</a></li>
<li><a href="/docs">Routes</a></li>
</ul></nav>
</header>
<main id="main">
<p id="without-script">This page needs JavaScript. <code>npm run cli -- status</code> shows the state in a shell.</p>
<form id="dashboard-form" hidden aria-label="Show the dashboards">
<h1>Dashboards</h1>
<div class="field">
<label for="key">Key</label>
<input id="key" type="password" autocomplete="off" spellcheck="false" aria-describedby="key-hint">
<p id="key-hint" class="hint">It needs the scope <code>operations:read</code>, and <code>operations:write</code> for what may be done here. It stays in the memory of this page: it is not stored, and is sent to this deployment alone, in the header <code>Authorization</code>.</p>
</div>
<button>Show</button>
</form>
<div id="alarm" class="failed" role="alert"></div>
<div id="dashboard" hidden>
<div class="top">
<div><h1 id="title"></h1>
<p id="intro"></p></div>
<div class="controls">
<label for="range">Time</label>
<select id="range"><option value="1h">The last hour</option><option value="24h">The last day</option><option value="30d">The last 30 days</option></select>
<p id="status" role="status"></p>
</div>
</div>
<h2 class="hidden">Numbers</h2>
<ul id="tiles" class="tiles"></ul>
<p id="chosen" hidden></p>
<div id="panels" class="panels"></div>
<div id="rest"></div>
</div>
</main>
<script type="module">${raw(DASHBOARDS_SCRIPT.text)}</script>
</body>
</html>
`);
}
