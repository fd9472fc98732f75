// What people write reaches the page as text only: nothing here ever parses markup.

export const $ = id => document.getElementById(id)

/** An element with a class and children; strings become text. */
export function el(tag, className, ...children) {
  const element = document.createElement(tag)
  if (className) element.className = className
  element.append(...children.filter(child => child !== undefined))
  return element
}

export function button(label, onClick, className = 'quiet') {
  const element = el('button', className, label)
  element.type = 'button'
  element.addEventListener('click', onClick)
  return element
}

/** A round initial in a colour of the name's own. */
export function avatar(name) {
  const element = el('span', 'avatar', [...name][0]?.toUpperCase() ?? '?')
  element.setAttribute('aria-hidden', 'true')
  let hash = 0
  for (const letter of name) hash = (hash * 31 + letter.codePointAt(0)) % 65_521
  element.style.setProperty('--hue', Math.round(hash * 137.5) % 360)
  return element
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })

export function time(value = Date.now()) {
  const date = new Date(value)
  const element = el('time', 'muted', Number.isNaN(date.getTime()) ? '' : clock.format(date))
  if (!Number.isNaN(date.getTime())) element.dateTime = date.toISOString()
  return element
}

const LONGEST_LIST = 1000

/** Appends and follows the newest, unless the reader has scrolled away from it. */
export function follow(list, item) {
  const scroller = list.parentElement
  const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 48
  list.append(item)
  while (list.childElementCount > LONGEST_LIST) list.firstElementChild.remove()
  if (atEnd) scroller.scrollTop = scroller.scrollHeight
}

export function notice(text) {
  const item = el('p', 'notice', text)
  item.append(button('Dismiss', () => item.remove()))
  $('notices').replaceChildren(item)
}

export function gapText(gap) {
  return gap && gap !== 'unknown' ? `${gap} messages were missed` : 'Some messages may have been missed'
}

/** A message's body as an object: what is no JSON object becomes its `message`. */
export function parsed(body) {
  try {
    const value = typeof body === 'string' ? JSON.parse(body) : body
    if (value && typeof value === 'object') return value
  } catch {}
  return { message: String(body) }
}

/** Calls `send` with a form's trimmed text; where it is not confirmed, the text comes back. */
export function compose(form, send) {
  const input = form.elements.namedItem('text')
  form.addEventListener('submit', async event => {
    event.preventDefault()
    const text = input.value.trim()
    if (!text) return
    input.value = ''
    try {
      await send(text)
    } catch (error) {
      input.value ||= text
      notice(`Not confirmed: ${error.message}. It may not have been sent.`)
    }
  })
}
