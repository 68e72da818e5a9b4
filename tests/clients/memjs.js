// SPDX-License-Identifier: MIT
// memjs speaks memcached's binary protocol and no other, which memcached calls deprecated and Ebb
// does not have. So what its users must get is a refusal that it understands, at once and each
// time: "not supported", never a wait. Real tests of a memcached client are in memcached.js.
'use strict';

const assert = require('node:assert/strict');
const memjs = require('memjs');
const { clientTest, until } = require('./server');

const QUIET = { log() {} };

function connect(server, own, more = {}) {
  const options = { timeout: 20, conntimeout: 20, retries: 0, logger: QUIET, ...more };
  const client = memjs.Client.create(`127.0.0.1:${server.memcachedPort}`, options);
  return own(client, () => client.close());
}

clientTest('memjs is told that its protocol is not supported', async (server, own) => {
  const client = connect(server, own);
  for (const ask of [() => client.get('k'), () => client.set('k', 'v', { expires: 10 }),
    () => client.add('k', 'v', {}), () => client.replace('k', 'v', {}), () => client.delete('k'),
    () => client.increment('n', 1, { initial: 1 }), () => client.append('k', 'v')]) {
    await assert.rejects(ask(), /Not supported/);
    await until(() => !client.servers[0]._socket, 'the connection closes behind the refusal');
  }
});

clientTest('a large value of memjs is refused as well', async (server, own) => {
  const client = connect(server, own);
  await assert.rejects(client.set('k', Buffer.alloc(500000), {}));
});

clientTest('others are served beside memjs', async (server, own) => {
  const { createClient } = require('redis');
  const redis = createClient({ socket: { port: server.port } });
  await redis.connect();
  own(redis, () => redis.destroy());
  await Promise.all(Array.from({ length: 20 }, async () => {
    await assert.rejects(connect(server, own).get('k'), /Not supported/);
    assert.equal(await redis.ping(), 'PONG');
  }));
  assert.equal(await redis.dbSize(), 0);
});
