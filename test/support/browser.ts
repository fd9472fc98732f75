import { type Browser, chromium, type Page } from 'playwright-core'
import { chromium as chromiumPath } from './toolchain.ts'

// A real Chromium, and the console page in it as a person uses it.

const FLAGS = [
  '--no-sandbox',
  '--disable-dev-shm-usage',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync'
]

export async function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: await chromiumPath(), args: FLAGS })
}

/** A window of its own; what its pages report as an error, and each breach of a content security policy, is collected. */
export async function openWindow(browser: Browser): Promise<{ page: Page; faults: string[] }> {
  const context = await browser.newContext()
  context.setDefaultTimeout(20_000)
  const page = await context.newPage()
  const faults: string[] = []
  page.on('pageerror', ({ message }) => faults.push(message))
  page.on('console', message => {
    // Sockets that fail while the server is away are the browser's own report.
    if (message.type() === 'error' && !/WebSocket|ERR_CONNECTION|Failed to load resource/.test(message.text()))
      faults.push(message.text())
  })
  return { page, faults }
}

/** Fills the form of the console that the page shows. */
export async function join(page: Page, name: string, room: string): Promise<void> {
  await field(page, 'Your name').fill(name)
  await field(page, 'Room').fill(room)
  await press(page, 'Join')
  await state(page, 'connected')
}

export const state = (page: Page, name: string) => page.locator(`#state[data-state=${name}]`).waitFor()
export const seen = (page: Page, text: string) => page.locator('#messages').getByText(text, { exact: true }).waitFor()
export const field = (page: Page, name: string) => page.getByRole('textbox', { name, exact: true })
export const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()

export async function watch(page: Page, destination: string): Promise<void> {
  await page.getByRole('combobox', { name: 'Destination' }).fill(destination)
  await press(page, 'Watch')
}

export async function say(page: Page, text: string): Promise<void> {
  await field(page, 'Message').fill(text)
  await press(page, 'Send')
}
