export class ResultStore {
  #m = new Map<string, Map<string, Uint8Array>>()
  #of(w: string, k: string) {
    const id = `${w}\0${k}`
    const m = this.#m.get(id) ?? new Map<string, Uint8Array>()
    this.#m.set(id, m)
    return m
  }
  get(w: string, k: string, c: string) {
    return this.#of(w, k).get(c)
  }
  set(w: string, k: string, c: string, v: Uint8Array) {
    this.#of(w, k).set(c, v)
  }
  delete(w: string, k: string, c: string) {
    this.#of(w, k).delete(c)
  }
  entries(w: string, k: string) {
    return [...this.#of(w, k)]
  }
  drop(w: string, k: string) {
    this.#m.delete(`${w}\0${k}`)
  }
}
