// SPDX-License-Identifier: MIT
// memcached of npm (3rd-Eden): the most used client there that speaks the text protocol.
'use strict';

const assert = require('node:assert/strict');
const Memcached = require('memcached');
const { promisify } = require('node:util');
const { clientTest, until, noise, EVERY_BYTE, MIB } = require('./server');

const VERBS = ['get', 'gets', 'getMulti', 'set', 'add', 'replace', 'append', 'prepend', 'cas',
  'del', 'incr', 'decr', 'touch', 'flush', 'version', 'stats', 'items', 'slabs', 'settings'];

// The client with promises for callbacks.
function connect(server, own, options = {}) {
  const client = new Memcached(`127.0.0.1:${server.memcachedPort}`, { timeout: 20000, ...options });
  own(client, () => client.end());
  const verbs = VERBS.map((verb) => [verb, promisify(client[verb]).bind(client)]);
  return { ...Object.fromEntries(verbs), client };
}

clientTest('values come back as what they were', async (server, own) => {
  const db = connect(server, own);
  const things = { text: 'grüße', empty: '', number: 12.5, list: [1, 'two', null],
    map: { a: { b: 1 } }, bytes: EVERY_BYTE, yes: true };
  for (const [key, thing] of Object.entries(things)) {
    assert.equal(await db.set(key, thing, 100), true);
    assert.deepEqual(await db.get(key), thing);
  }
  assert.deepEqual(await db.getMulti([...Object.keys(things), 'nothing']), things);
  assert.equal(await db.get('nothing'), undefined);
  assert.equal(await db.touch('text', 1000), true);
});

clientTest('each verb does what it is for', async (server, own) => {
  const db = connect(server, own);
  assert.equal(await db.add('k', 'a', 0), true);
  await assert.rejects(db.add('k', 'b', 0), /not stored/);
  await assert.rejects(db.replace('nothing', 'b', 0), /not stored/);
  assert.equal(await db.replace('k', 'mid', 0), true);
  assert.equal(await db.append('k', '>'), true);
  assert.equal(await db.prepend('k', '<'), true);
  assert.equal(await db.get('k'), '<mid>');
  const { cas } = await db.gets('k');
  assert.equal(await db.cas('k', 'first', cas, 0), true);
  assert.equal(await db.cas('k', 'second', cas, 0), false);
  assert.equal(await db.get('k'), 'first');
  await db.set('n', 10, 0);
  assert.equal(await db.incr('n', 5), 15);
  assert.equal(await db.decr('n', 100), 0);
  assert.equal(await db.incr('nothing', 1), false);
  assert.equal(await db.del('n'), true);
  assert.equal(await db.del('n'), false);
  assert.equal(await db.flush().then((all) => all[0]), true);
  assert.equal(await db.get('k'), undefined);
});

clientTest('many at once keep their order', async (server, own) => {
  const db = connect(server, own, { poolSize: 4 });
  const numbers = Array.from({ length: 2000 }, (_, i) => i);
  await Promise.all(numbers.map((i) => db.set(`key:${i}`, `value ${i}`, 0)));
  const got = await Promise.all(numbers.map((i) => db.get(`key:${i}`)));
  assert.deepEqual(got, numbers.map((i) => `value ${i}`));
  const all = await db.getMulti(numbers.map((i) => `key:${i}`));
  assert.equal(Object.keys(all).length, 2000);
});

clientTest('a mebibyte passes, and more', async (server, own) => {
  const db = connect(server, own, { maxValue: 16 * MIB });
  for (const size of [MIB, MIB + 1, 8 * MIB]) {
    const bytes = noise(size);
    await db.set('large', bytes, 0);
    assert.ok(bytes.equals(await db.get('large')));
  }
});

clientTest('keys go at their time', async (server, own) => {
  const db = connect(server, own);
  await db.set('brief', 'x', 1);
  await db.set('past', 'x', -1);
  assert.equal(await db.get('past'), undefined);
  assert.equal(await db.get('brief'), 'x');
  await until(async () => (await db.get('brief')) === undefined, 'a key of one second goes');
});

clientTest('statistics are understood', async (server, own) => {
  const db = connect(server, own);
  await db.set('k', 'v', 0);
  await db.get('k');
  const [stats] = await db.stats();
  assert.equal(stats.curr_items, 1);
  assert.equal(stats.get_hits, 1);
  assert.equal(stats.pid, server.child.pid);
  assert.match((await db.version())[0].version, /^1\.6\.\d+$/);
  assert.ok((await db.settings())[0].maxconns > 0);
  const [items] = await db.items();
  const slab = Object.keys(items).find((name) => /^\d+$/.test(name));
  assert.equal(items[slab].number, 1);
  assert.equal((await db.slabs())[0][slab].used_chunks, 1);
});

clientTest('errors are the protocol\'s own', async (server, own) => {
  const db = connect(server, own);
  await db.set('text', 'abc', 0);
  await assert.rejects(db.incr('text', 1), /cannot increment or decrement non-numeric value/);
  await assert.rejects(db.append('nothing', 'x'), /not stored/i);
  assert.equal(await db.get('text'), 'abc');
});

clientTest('it comes back after the server did', async (server, own) => {
  const patient = { retries: 20, retry: 50, reconnect: 50, timeout: 500, failures: 100 };
  const db = connect(server, own, patient);
  await db.set('k', 'v', 0);
  await server.restart();
  await until(() => db.set('k', 'again', 0).catch(() => false), 'a set succeeds');
  assert.equal(await db.get('k'), 'again');
});
