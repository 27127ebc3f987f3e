/** The application's HTML. */
import type { Report } from './workers/report_worker.js'

export function startPage(): string {
  return page(
    'Count words',
    `<form method="post" action="/reports">
      <p><label for="text">A text, long or short</label></p>
      <p><textarea id="text" name="text" rows="8" cols="60" required></textarea></p>
      <p><button>Count its words</button></p>
    </form>`,
  )
}

export function reportPage(report: Report | { state: 'waiting' }): string {
  if (report.state !== 'done') {
    // The page asks again by itself until the worker is done.
    return page(
      'Report',
      `<p role="status">The report is ${report.state}…</p>`,
      '<meta http-equiv="refresh" content="1">',
    )
  }
  const favourites = report.favourites.map(({ word, times }) => `<li>${escapeHtml(word)}: ${times}</li>`)
  return page(
    'Report',
    `<p>${report.words} words, ${report.different} different ones. Most often:</p>
    <ol>${favourites.join('')}</ol>
    <p><a href="/">Count another text</a></p>`,
  )
}

export function errorPage(message: string): string {
  return page('That did not work', `<p>${escapeHtml(message)}</p><p><a href="/">Back</a></p>`)
}

function page(title: string, body: string, head = ''): string {
  return `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>${head}</head>
  <body><main><h1>${title}</h1>${body}</main></body>
</html>
`
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!)
}
