// An object with some of its operations replaced: everything else is asked of the real one.

/** `changes` over `real`. Operations of the real one run on it, as its private state demands. */
export function over<T extends object>(real: T, changes: Partial<T>): T {
  const bound = new Map<PropertyKey, unknown>();
  return new Proxy(real, {
    get(target, key) {
      if (Object.hasOwn(changes, key)) return Reflect.get(changes, key) as unknown;
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      if (!bound.has(key)) bound.set(key, value.bind(target));
      return bound.get(key);
    },
  });
}
