/** The template with only some of its sections, which stand between `<!-- NAME -->` and `<!-- /NAME -->` lines. */
export function withSections(template: string, ...names: string[]): string {
  const sections = /[ \t]*<!-- (\w+) -->\n([\s\S]*?)[ \t]*<!-- \/\1 -->\n/g;
  return template.replaceAll(
    sections,
    (_, name: string, section: string) => names.includes(name) ? withSections(section, ...names) : "",
  );
}

/** Replaces each `{{ name }}` in a template by its value, escaped for HTML. */
export function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{\{ (\w+) \}\}/g, (_, name: string) => escapeHtml(values[name] ?? ""));
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
