/** Asks the running application what a browser and a program would ask, and prints what they get. */
import { poll } from '../poll.js'

const TEXT = 'Row, row, row your boat <gently> down the stream'

export async function checkApp(address: string): Promise<void> {
  const start = await fetch(address)
  console.log(`GET / → ${start.status}, with a form: ${(await start.text()).includes('<form method="post"')}`)

  const ordered = await order('text/html', new URLSearchParams({ text: TEXT }))
  const page = ordered.headers.get('location')!
  console.log(`POST /reports as a browser → ${ordered.status} ${page.replace(/[^/]+$/, '<id>')}`)
  const html = await poll('the page', async () => {
    const seen = await (await fetch(address + page, { headers: { accept: 'text/html' } })).text()
    return seen.includes('http-equiv="refresh"') ? null : seen
  })
  console.log(`GET that → ${/<p>(.*)<\/p>/.exec(html)?.[1]} ${/<ol>(.*)<\/ol>/.exec(html)?.[1]}`)

  const accepted = await order('application/json', JSON.stringify({ text: TEXT }))
  const { id, state } = (await accepted.json()) as { id: string; state: string }
  console.log(`POST /reports as a program → ${accepted.status} ${state}`)
  const report = await poll('the report', async () => {
    const seen = (await (await get(`/reports/${id}`)).json()) as { state: string }
    return seen.state === 'done' ? seen : null
  })
  console.log(`GET that → ${JSON.stringify({ ...report, id: '<id>' })}`)

  const counted = await order('application/json', JSON.stringify({ text: TEXT }), '/counts')
  console.log(`POST /counts → ${counted.status} ${await counted.text()}`)

  for (const refused of [await order('application/json', '{}'), await get('/reports/1')]) {
    console.log(`${new URL(refused.url).pathname} → ${refused.status} ${await refused.text()}`)
  }

  function get(path: string): Promise<Response> {
    return fetch(address + path, { headers: { accept: 'application/json' } })
  }

  function order(accept: string, body: URLSearchParams | string, path = '/reports'): Promise<Response> {
    const headers = typeof body === 'string' ? { accept, 'content-type': 'application/json' } : { accept }
    return fetch(address + path, { method: 'POST', headers, body, redirect: 'manual' })
  }
}
