// SPDX-License-Identifier: MIT
// ioredis, with what its users turn on: prefixes, automatic pipelines, scripts of their own.
'use strict';

const assert = require('node:assert/strict');
const Redis = require('ioredis');
const { clientTest, until, noise, EVERY_BYTE, MIB } = require('./server');

function connect(server, own, options = {}) {
  const client = new Redis({ port: server.port, retryStrategy: () => 10, ...options });
  client.on('error', () => {});
  return own(client, () => client.disconnect());
}

clientTest('strings and counters', async (server, own) => {
  const db = connect(server, own);
  assert.equal(await db.set('k', 'grüße'), 'OK');
  assert.equal(await db.get('k'), 'grüße');
  assert.equal(await db.get('nothing'), null);
  assert.equal(await db.getset('k', 'x'), 'grüße');
  assert.equal(await db.incrby('n', 41), 41);
  assert.equal(await db.incr('n'), 42);
  await db.mset({ a: 1, b: 'two' });
  assert.deepEqual(await db.mget('a', 'c', 'b'), ['1', null, 'two']);
  assert.equal(await db.setnx('a', 'x'), 0);
  assert.equal(await db.exists('a', 'b', 'c'), 2);
  assert.equal(await db.unlink('a', 'b', 'c'), 2);
  assert.equal(await db.dbsize(), 2);
  assert.deepEqual(await db.config('GET', 'databases'), ['databases', '16']);
});

clientTest('binary keys and values', async (server, own) => {
  const db = connect(server, own);
  const value = Buffer.concat([EVERY_BYTE, Buffer.from('\r\n$3\r\n'), EVERY_BYTE]);
  assert.deepEqual(await db.setBuffer(EVERY_BYTE, value), Buffer.from('OK'));
  assert.deepEqual(await db.getBuffer(EVERY_BYTE), value);
  assert.deepEqual(await db.mgetBuffer(EVERY_BYTE, 'nothing'), [value, null]);
  assert.deepEqual(await db.keysBuffer('*'), [EVERY_BYTE]);
});

clientTest('conditions and times', async (server, own) => {
  const db = connect(server, own);
  assert.equal(await db.set('k', 1, 'EX', 100, 'NX'), 'OK');
  assert.equal(await db.set('k', 2, 'PX', 100, 'NX'), null);
  assert.equal(await db.set('k', 2, 'KEEPTTL', 'GET'), '1');
  assert.equal(await db.ttl('k'), 100);
  assert.equal(await db.set('k', 3), 'OK');
  assert.equal(await db.pttl('k'), -1);
  assert.equal(await db.getex('k', 'EX', 50), '3');
  assert.equal(await db.expire('k', 10, 'GT'), 0);
  assert.equal(await db.persist('k'), 1);
  await db.set('brief', 'x', 'PX', 40);
  await until(async () => (await db.get('brief')) === null, 'a key of 40 ms goes');
});

clientTest('pipelines, given and automatic', async (server, own) => {
  const db = connect(server, own);
  const pipe = db.pipeline();
  for (let i = 0; i < 5000; i++) {
    pipe.set(`key:${i}`, `value ${i}`).get(`key:${i}`);
  }
  const got = await pipe.exec();
  const wanted = Array.from({ length: 5000 }, (_, i) => `value ${i}`);
  assert.deepEqual(got.filter((_, i) => i % 2), wanted.map((value) => [null, value]));
  const [[no, ok], [error]] = await db.pipeline().set('t', 'x').incr('t').exec();
  assert.deepEqual([no, ok, error.message],
    [null, 'OK', 'ERR value is not an integer or out of range']);
  const auto = connect(server, own, { enableAutoPipelining: true });
  assert.deepEqual(await Promise.all(wanted.map((_, i) => auto.get(`key:${i}`))), wanted);
});

clientTest('transactions and watches', async (server, own) => {
  const db = connect(server, own);
  const other = connect(server, own);
  assert.deepEqual(await db.multi().set('n', 1).incrby('n', 5).get('n').exec(),
    [[null, 'OK'], [null, 6], [null, '6']]);
  await db.multi({ pipeline: false });
  assert.equal(await db.incr('n'), 'QUEUED');
  assert.deepEqual(await db.exec(), [[null, 7]]);
  await db.multi({ pipeline: false });
  assert.equal(await db.incr('n'), 'QUEUED');
  assert.equal(await db.discard(), 'OK');
  await db.watch('n');
  await other.incr('n');
  assert.equal(await db.multi().set('n', 'lost').exec(), null);
  await db.watch('n');
  assert.deepEqual(await db.multi().incr('n').exec(), [[null, 9]]);
  await assert.rejects(db.multi().call('NONSENSE').exec(), /EXECABORT/);
});

clientTest('scan streams see every key', async (server, own) => {
  const db = connect(server, own);
  const wanted = Array.from({ length: 3000 }, (_, i) => `user:${i}`);
  await db.mset(...wanted.flatMap((key) => [key, '.']));
  const collect = async (stream) => {
    const seen = new Set();
    for await (const keys of stream) {
      keys.forEach((key) => seen.add(String(key)));
    }
    return [...seen].sort();
  };
  assert.deepEqual(await collect(db.scanStream({ count: 100 })), wanted.sort());
  assert.deepEqual(await collect(db.scanBufferStream()), wanted);
  assert.equal((await collect(db.scanStream({ match: 'user:12??', type: 'string' }))).length, 100);
});

clientTest('values of a mebibyte and more', async (server, own) => {
  const db = connect(server, own);
  for (const size of [MIB, MIB + 1, 8 * MIB]) {
    const bytes = noise(size);
    await db.set('large', bytes);
    assert.ok(bytes.equals(await db.getBuffer('large')));
  }
});

clientTest('errors are Redis\'s own', async (server, own) => {
  const db = connect(server, own);
  const fails = (words, message) => assert.rejects(db.call(...words),
    { name: 'ReplyError', message });
  await db.set('text', 'abc');
  await fails(['INCR', 'text'], 'ERR value is not an integer or out of range');
  await fails(['GET'], 'ERR wrong number of arguments for \'get\' command');
  await fails(['NONSENSE', 'a'],
    'ERR unknown command \'NONSENSE\', with args beginning with: \'a\' ');
  await fails(['EXPIRE', 'text', '9223372036854775807'],
    'ERR invalid expire time in \'expire\' command');
  assert.equal(await db.get('text'), 'abc');
});

clientTest('scripts of its users are run or refused', async (server, own) => {
  const db = connect(server, own);
  db.defineCommand('unlock', { numberOfKeys: 1,
    lua: 'if redis.call("get",KEYS[1]) == ARGV[1] then '
      + 'return redis.call("del",KEYS[1]) else return 0 end' });
  await db.set('lock', 'mine', 'NX', 'PX', 10000);
  assert.equal(await db.unlock('lock', 'yours'), 0);
  assert.equal(await db.unlock('lock', 'mine'), 1);
  assert.deepEqual(await db.pipeline().set('lock', 'a').unlock('lock', 'a').exec(),
    [[null, 'OK'], [null, 1]]);
  await assert.rejects(db.eval('return 1', 0), /no Lua/);
});

clientTest('it comes back after CLIENT KILL', async (server, own) => {
  const db = connect(server, own, { db: 3 });
  const other = connect(server, own);
  await db.set('k', 'v');
  const id = await db.client('ID');
  let reconnects = 0;
  db.on('reconnecting', () => reconnects++);
  assert.equal(await other.client('KILL', 'ID', id), 1);
  await until(() => reconnects > 0, 'the client sees that it was killed');
  assert.equal(await db.get('k'), 'v'); // waits for the connection, which is in database 3 again
  assert.notEqual(await db.client('ID'), id);
});

clientTest('it waits for a server that starts again', async (server, own) => {
  const db = connect(server, own, { maxRetriesPerRequest: null });
  await db.set('k', 'v');
  await server.restart();
  assert.equal(await db.set('k', 'again'), 'OK');
  assert.equal(await db.get('k'), 'again');
});

clientTest('prefixes, unix sockets and databases', async (server, own) => {
  const db = connect(server, own, { keyPrefix: 'app:', path: server.unixsocket });
  await db.mset('a', 1, 'b', 2);
  assert.deepEqual((await connect(server, own).keys('*')).sort(), ['app:a', 'app:b']);
  await db.select(9);
  assert.equal(await db.get('a'), null);
});

clientTest('what is not there is refused', async (server, own) => {
  const db = connect(server, own);
  const listener = connect(server, own);
  await assert.rejects(listener.subscribe('channel'), /ERR unknown command 'subscribe'/);
  await assert.rejects(db.publish('channel', 'x'), /ERR unknown command 'publish'/);
  await assert.rejects(db.call('MONITOR'), /ERR unknown command 'MONITOR'/);
  await assert.rejects(db.lpush('list', 'x'), /ERR unknown command 'lpush'/);
  assert.equal(await db.ping(), 'PONG');
});

clientTest('a password is given', async (server, own) => {
  const db = connect(server, own, { password: 'open sesame', connectionName: 'by-name' });
  assert.equal(await db.client('GETNAME'), 'by-name');
  const user = connect(server, own, { username: 'default', password: 'open sesame' });
  assert.equal(await user.ping(), 'PONG');
  const guest = connect(server, own, { enableReadyCheck: false });
  await assert.rejects(guest.get('k'), /NOAUTH Authentication required/);
}, '--requirepass=open sesame');
