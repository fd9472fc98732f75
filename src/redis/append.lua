#!lua
-- One chunk of one source: compare with the fence; then position, log and publish every append, and move the fence. All of
-- it happens or none (I2): reads and refusals come before the first write, and the shebang has Redis refuse the whole
-- script where it has no memory left or is a replica.
-- KEYS: fence, then log and meta of each channel.
-- ARGV: source, expect, upTo, again, token, numbers, offset of each append (both JSON, see append.ts), bus channel of each channel,
-- then, channel after channel, the bytes of each append: those to publish, and those to log where they differ.
-- Returns: 1 written or 0 behind, the fence (nil: absent), appends skipped.
-- What Redis pays for is the number of its calls, and each byte of each string that Lua makes, for it hashes them all: so there is
-- one RPUSH for a channel, bytes come as an argument each (cut out of a single one they take a tenth more), offsets are looked at
-- only where some may be old, and keys live, and logs grow, a part longer than asked, to be given their ttl and be trimmed once for
-- many chunks.
local source, token = ARGV[1], ARGV[5]
local expect, upTo, again = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local call, may, find, format, integer = redis.call, redis.acl_check_cmd, string.find, string.format, '%d'
local BUS, SPARE = 7, 8

local fence = call('HGET', KEYS[1], source)
local last = tonumber(fence or '-1')
-- Redis has lost what its owner knows to be acknowledged (I3).
if last < expect then return {0, fence, 0} end

local numbers = cjson.decode(ARGV[6])
local sizes, ttls, metaTtl = numbers.sizes, numbers.ttls, numbers.metaTtl
local epochs, seqs, ends, orphans, proper = {}, {}, {}, {}, nil
for k = 1, #sizes do
  local bus = ARGV[BUS + k]
  if not may('PUBLISH', bus, '') then
    return redis.error_reply('NOPERM this user may not publish to the channel ' .. bus)
  end
  if sizes[k] > 0 then
    local length = call('LLEN', KEYS[2 * k])
    local position = call('HMGET', KEYS[2 * k + 1], 'e', 's', 'x')
    epochs[k], seqs[k], ends[k] = position[1] or token, tonumber(position[2] or '0'), tonumber(position[3] or '0')
    -- Most have the same epoch.
    if epochs[k] ~= proper and find(epochs[k], '^%w+$') and #epochs[k] <= 24 then proper = epochs[k] end
    if epochs[k] ~= proper or not seqs[k] or not ends[k] then
      return redis.error_reply('ERR no position of Baton is in ' .. KEYS[2 * k + 1])
    end
    orphans[k] = length > 0 and not position[1]
  end
end

-- Else all of them are new.
local offsets = numbers.first <= math.max(last, again) and cjson.decode(ARGV[7])
local counts, lasts, logged = numbers.counts, numbers.lasts, numbers.logged
local skipped, i, at, now = 0, 0, BUS + #sizes, nil
for k = 1, #sizes do
  local bus, size, epoch, seq, list, text = ARGV[BUS + k], sizes[k], epochs[k], seqs[k], {}, nil
  for _ = 1, counts[k] do
    i, at = i + 1, at + 1
    local offset, published, own = offsets and offsets[i], ARGV[at], nil
    if logged and logged[i] then at = at + 1; own = ARGV[at] end
    -- Nobody heals from what is only published, so what was acknowledged before is not published again.
    if offset and (offset <= last or (size == 0 and offset <= again)) then skipped = skipped + 1
    elseif size == 0 then call('PUBLISH', bus, published)
    else
      -- Acknowledged before, then lost (I5).
      if offset and offset <= again then epoch, ends[k] = token, 0 end
      seq = seq + 1
      text = format(integer, seq)
      local envelope = 'B1 ' .. epoch .. ' ' .. text .. ' ' .. published
      call('PUBLISH', bus, envelope)
      list[#list + 1] = own and 'B1 ' .. epoch .. ' ' .. text .. ' ' .. own or envelope
    end
  end
  if #list > 0 then
    local log, meta, ttl, offset = KEYS[2 * k], KEYS[2 * k + 1], ttls[k], lasts[k]
    -- A log without its meta cannot be continued.
    if orphans[k] then call('DEL', log) end
    local length = call('RPUSH', log, unpack(list))
    if length > size + size / SPARE then call('LTRIM', log, -size, -1) end
    call('HSET', meta, 's', text, 'c', source .. ' ' .. offset, source, offset)
    -- By the clock that ends them.
    if not now then local time = call('TIME'); now = time[1] * 1000 + math.floor(time[2] / 1000) end
    local left, most = ends[k] - now, ttl + ttl / SPARE
    if length == #list or left < ttl or left > most then
      call('HSET', meta, 'e', epoch, 'x', format(integer, now + most))
      call('PEXPIRE', meta, format(integer, math.max(ttl, metaTtl) + most - ttl))
      call('PEXPIRE', log, format(integer, most))
    end
  end
end
-- Covered, whatever of it was written (I4).
if not fence or upTo > last then
  last = math.max(last, upTo)
  call('HSET', KEYS[1], source, format(integer, last))
end
return {1, format(integer, last), skipped}
