// The suite's server listens on every address; a test's server listens on loopback alone: node --require ./loopback.cjs
const { Server } = require('node:net')

const listen = Server.prototype.listen
Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, port, '127.0.0.1', ...rest)
}
