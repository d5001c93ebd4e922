/** The page at `/models` as HTML: its script reads the registry with the reader's key. */
import { html, raw } from 'hono/html';
import { MODELS_SCRIPT, STYLE } from './assets.ts';
import { head } from './head.ts';

/** The document has no data of the registry, so it needs no key and is the same for every deployment. */
export function modelsDocument(): string {
  return String(html`<!doctype html>
<html lang="en">
${head('Models', STYLE.text)}
<body>
<header>
<h1>Models</h1>
<p>The models of this deployment: which version answers, which versions are registered, what their registration measured, and who changed what.</p>
<nav aria-label="Elsewhere"><ul>
<li><a href="/">What this deployment serves</a></li>
<li><a href="/docs">Routes</a></li>
</ul></nav>
</header>
<main>
<p id="without-script">This page needs JavaScript. <code>npm run cli -- models list</code> shows the same in a shell.</p>
<form id="models-form" hidden aria-label="Show the models">
<div class="field">
<label for="key">Key</label>
<input id="key" type="password" autocomplete="off" spellcheck="false" aria-describedby="key-hint">
<p id="key-hint" class="hint">It needs the scope <code>predictions:run</code>; rollouts, hit rates and drift need <code>models:write</code>. It stays in the memory of this page: it is not stored, and is sent to this deployment alone, in the header <code>Authorization</code>.</p>
</div>
<button>Show</button>
</form>
<div id="models" aria-live="polite"></div>
</main>
<script type="module">${raw(MODELS_SCRIPT.text)}</script>
</body>
</html>
`);
}
