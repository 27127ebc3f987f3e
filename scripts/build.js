/** `npm run build`: installs and compiles what is missing. */
import { build, install } from './setup.js'

install()
build()
