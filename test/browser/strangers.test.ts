import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { type Baton, startBaton } from '../support/baton.ts'
import { launchBrowser, openWindow } from '../support/browser.ts'
import { waitFor } from '../support/wait.ts'

// What a page of another origin can make a real browser do to a Baton that lets anyone in.

const page = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<p>a page</p>'))

let baton: Baton
let browser: Browser
let origin: string
before(async () => {
  page.listen(0, 'localhost')
  await once(page, 'listening')
  origin = `http://localhost:${(page.address() as AddressInfo).port}`
  ;[baton, browser] = await Promise.all([startBaton(), launchBrowser()])
})
after(async () => {
  await browser.close()
  page.closeAllConnections()
  page.close()
  await baton.stop()
})

async function openStranger(): Promise<Page> {
  const { page } = await openWindow(browser)
  await page.goto(origin)
  return page
}

/** How often Baton has counted that. */
async function counted({ url }: Baton, line: string): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text()
  return Number(
    metrics
      .split('\n')
      .find(each => each.startsWith(line))
      ?.slice(line.length) ?? 0
  )
}
const refused = (baton: Baton) => counted(baton, 'baton_refusals_total{code="ORIGIN_REFUSED"} ')
const produced = (baton: Baton) => counted(baton, 'baton_records_produced_total{route="topic"} ')

/** The ways to POST without asking first: by fetch, by a beacon, and by a form. */
const WAYS = [
  `fetch(to, { method: 'POST', mode: 'no-cors', credentials: 'include', body: 'x' }).catch(() => 0)`,
  `navigator.sendBeacon(to, 'x')`,
  `{
    const form = Object.assign(document.createElement('form'), { action: to, method: 'POST', enctype: 'text/plain' })
    document.body.append(form)
    form.submit()
  }`
]

test('a page of another origin POSTs nothing, by none of the ways that need no preflight', async () => {
  const stranger = await openStranger()
  for (const [before, way] of WAYS.entries()) {
    await stranger.evaluate(`{ const to = '${baton.url}/topic/a'; ${way} }`)
    await waitFor(async () => (await refused(baton)) === before + 1, { what: `the refusal of ${way}` })
  }
  assert.equal(await produced(baton), 0)
})

test('it reads no answer either, and shows Baton in no frame', async () => {
  const stranger = await openStranger()
  assert.equal(await stranger.evaluate(`fetch('${baton.url}/livez').catch(({ name }) => name)`), 'TypeError')
  const asked = stranger.waitForResponse(`${baton.url}/`)
  await stranger.evaluate(
    `document.body.append(Object.assign(document.createElement('iframe'), { src: '${baton.url}/' }))`
  )
  assert.equal((await asked).status(), 200)
  const frame = () => stranger.frames().find(each => each !== stranger.mainFrame())
  await waitFor(() => frame()?.url().startsWith('chrome-error:'), { what: 'the frame that stays empty' })
})

test('a page that http.corsOrigins lists POSTs, with a preflight and without one, and reads the answer', async () => {
  await using open = await startBaton({ env: { BATON_HTTP_CORS_ORIGINS: origin } })
  const friend = await openStranger()
  for (const type of ['text/plain', 'application/json']) {
    const init = JSON.stringify({ method: 'POST', headers: { 'content-type': type }, body: '{}' })
    assert.equal(await friend.evaluate(`fetch('${open.url}/topic/a', ${init}).then(({ status }) => status)`), 202)
  }
  assert.deepEqual([await produced(open), await refused(open)], [2, 0])
})

test('a person can look at what is no page: the browser shows it, as text', async () => {
  const { page, faults } = await openWindow(browser)
  for (const path of ['/openapi.json', '/metrics', '/nowhere']) {
    await page.goto(baton.url + path)
    assert.match((await page.textContent('body')) ?? '', /[Bb]aton/, path)
  }
  assert.deepEqual(faults, [])
})
