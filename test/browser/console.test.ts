import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { parse } from 'yaml'
import { startBaton } from '../support/baton.ts'
import { field, join, launchBrowser, openWindow, press, say, seen, state, watch } from '../support/browser.ts'
import { unique } from '../support/ids.ts'
import { sharedKafka } from '../support/kafka.ts'
import { sharedRedis } from '../support/redis.ts'

// The console page in a real browser, against real processes.

let browser: Browser

before(async () => {
  browser = await launchBrowser()
})
after(() => browser.close())

/** A window of its own, in a room. */
async function visit(url: string, name: string, room: string) {
  const window = await openWindow(browser)
  await window.page.goto(url)
  await join(window.page, name, room)
  return window
}

test('two people talk, comment, like, watch and read history, and survive a restart of the server', async () => {
  let baton = await startBaton()
  try {
    const room = unique('방')
    const { page: minji, faults } = await visit(baton.url, '민지', room)
    const { page: ann, faults: annsFaults } = await visit(baton.url, 'Ann', room)
    await seen(minji, 'Ann joined')
    await say(minji, '안녕하세요 👋🏽 <b>반가워요</b>')
    await seen(ann, '안녕하세요 👋🏽 <b>반가워요</b>')
    await say(ann, 'hello 🎉')
    await seen(minji, 'hello 🎉')

    await field(minji, 'Comment').fill('좋은 제목이네요')
    await press(minji, 'Post')
    const comment = ann.locator('#comment-list li').filter({ hasText: '좋은 제목이네요' })
    await comment.getByRole('button').click()
    await minji.locator('#comment-list li').filter({ hasText: '좋은 제목이네요' }).getByText('♥ 1').waitFor()

    await watch(ann, `/sub/chat/room/${room}`)
    await ann.locator('#watched li').waitFor()
    await minji.locator('#sessions li').filter({ hasText: room }).nth(1).waitFor()
    await minji.locator('#rates dd').nth(2).waitFor()

    for (let i = 1; i <= 60; i++) await say(minji, `message ${i}`)
    await seen(ann, 'message 60')
    await ann.locator('#frames pre').filter({ hasText: '"message 60"' }).waitFor()
    const { page: late } = await visit(baton.url, '늦은이', room)
    await seen(late, 'message 60')
    assert.equal(await late.locator('#messages').getByText('hello 🎉').count(), 0)
    await press(late, 'Load older messages')
    await seen(late, 'hello 🎉')
    await seen(late, 'This is where the history begins')
    const texts = await late.locator('#messages .text').allTextContents()
    assert.deepEqual(
      texts.slice(-60),
      Array.from({ length: 60 }, (_, i) => `message ${i + 1}`)
    )

    const { port } = baton
    const [exit] = await Promise.all([baton.stop(), state(minji, 'reconnecting'), state(ann, 'reconnecting')])
    assert.equal(exit.code, 0, baton.logs)
    baton = await startBaton({ port })
    for (const page of [minji, ann]) {
      await state(page, 'connected')
      await page.locator('#messages .resumed, #messages .gap').first().waitFor()
    }
    await say(minji, '다시 만났네요')
    await seen(ann, '다시 만났네요')
    await say(ann, 'welcome back')
    await seen(minji, 'welcome back')
    assert.deepEqual([...faults, ...annsFaults], [])
  } finally {
    await baton.kill()
  }
})

test('a destination that no route takes is refused by name, and the room goes on', async () => {
  await using baton = await startBaton()
  const { page } = await visit(baton.url, 'Ann', unique('room'))
  await watch(page, '/nowhere/at/all')
  await page.getByRole('alert').getByText('/nowhere/at/all').waitFor()
  assert.equal(await page.locator('#watched li').count(), 0)
  await page.locator('#messages').getByText('Resumed: nothing was missed').waitFor()
  await say(page, 'still here')
  await seen(page, 'still here')
})

test('on a phone one panel is seen at a time and nothing is wider than the screen', async () => {
  await using baton = await startBaton()
  const { page } = await visit(baton.url, 'Ann', unique('room'))
  await page.setViewportSize({ width: 360, height: 740 })
  for (const [tab, panel] of [
    ['Comments', '#comments'],
    ['Watch', '#watch'],
    ['Live', '#live'],
    ['Room', '#talk']
  ] as const) {
    await page.locator('#tabs').getByRole('button', { name: tab }).click()
    assert.equal(await page.locator('.panel:visible').count(), 1)
    assert.ok(await page.locator(panel).isVisible())
    assert.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), `${tab} is too wide`)
  }
})

test('a replica is killed, messages go on through another, and its readers miss nothing when it is back', async () => {
  const [{ brokers }, { url }] = await Promise.all([sharedKafka(), sharedRedis()])
  const config = parse(readFileSync(new URL('../../config/default.yaml', import.meta.url), 'utf8'))
  for (const route of Object.values<{ topic: { name: string; partitions: number; replicationFactor: number } }>(
    config.routes
  )) {
    route.topic = { name: unique('topic'), partitions: 1, replicationFactor: 1 }
  }
  Object.assign(config, {
    kafka: { brokers, groupId: unique('group') },
    redis: { url, prefix: `${unique('prefix')}:` }
  })
  await using other = await startBaton({ config })
  let baton = await startBaton({ config })
  try {
    const room = unique('room')
    const { page: minji } = await visit(baton.url, '민지', room)
    const { page: ann } = await visit(other.url, 'Ann', room)
    await seen(minji, 'Ann joined')
    await say(ann, 'before')
    await seen(minji, 'before')
    await Promise.all([baton.kill(), state(minji, 'reconnecting')])
    for (let i = 1; i <= 5; i++) await say(ann, `while away ${i}`)
    await seen(ann, 'while away 5')
    baton = await startBaton({ config, port: baton.port })
    await minji.locator('#messages').getByText('Resumed: nothing was missed').waitFor()
    const texts = await minji.locator('#messages .text').allTextContents()
    assert.deepEqual(texts, ['before', ...[1, 2, 3, 4, 5].map(i => `while away ${i}`)])
  } finally {
    await baton.kill()
  }
})
