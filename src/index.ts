/** The public entry `offstage`: what workers extend and what applications call them with. */
export { MetaWorker, TcpHandler } from './actors/index.js'
export { MiddleMan } from './middleman/index.js'
