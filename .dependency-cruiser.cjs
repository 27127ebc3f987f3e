/** The layers of docs/ARCHITECTURE.md: imports only point down, and there are no cycles. */
const layer = (name, allowed, besides = '^$') => ({
  name: `${name.replaceAll('/', '-')}-knows-only-${allowed.length === 0 ? 'itself' : allowed.join('-and-').replaceAll('/', '-')}`,
  severity: 'error',
  from: { path: `^src/${name}/`, pathNot: besides },
  to: { path: '^src/', pathNot: `^src/(${[name, ...allowed].join('|')})/|^src/errors\\.ts$` },
})

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    layer('wire', []),
    layer('persistence', [], '^src/persistence/results/'),
    // Servers and clients share what lies in memcached, and which server of several a key belongs to.
    layer('persistence/results', ['wire']),
    layer('actors', ['wire']),
    layer('middleman', ['wire', 'persistence/results']),
    layer('supervisor', ['actors', 'persistence', 'wire']),
    layer('cli', ['supervisor', 'middleman', 'actors', 'persistence', 'wire']),
    {
      name: 'errors-know-nothing',
      severity: 'error',
      from: { path: '^src/errors\\.ts$' },
      to: { path: '^src/' },
    },
    {
      name: 'only-declared-packages',
      severity: 'error',
      from: { path: '^src/' },
      // A peer is a development dependency, too, for its tests.
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'unknown'], dependencyTypesNot: ['npm-peer'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
}
