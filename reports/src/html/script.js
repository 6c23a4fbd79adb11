'use strict';
// Filters, the theme, and copying. Without it everything can still be read.
(() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // The theme: the system's until somebody wants the other one.
  const theme = one('#theme');
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? 'dark' : 'light')) === 'dark';
  const label = () => { theme.textContent = isDark() ? 'Light' : 'Dark'; };
  theme.setAttribute('aria-label', 'Switch between light and dark');
  theme.addEventListener('click', () => {
    document.documentElement.dataset.theme = isDark() ? 'light' : 'dark';
    label();
  });
  dark.addEventListener('change', label);
  label();
  theme.hidden = false;

  // What is linked to is opened.
  const open = () => {
    const target = document.getElementById(location.hash.slice(1));
    for (let at = target; at; at = at.parentElement) if (at.matches('details')) at.open = true;
    target?.scrollIntoView();
  };
  addEventListener('hashchange', open);
  addEventListener('click', (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    // The same link twice changes no hash.
    if (link && link.getAttribute('href') === location.hash) open();
  });
  if (location.hash) open();

  for (const button of all('.copy')) {
    button.hidden = false;
    button.addEventListener('click', async () => {
      const code = one('code', button.parentElement);
      getSelection().selectAllChildren(code);
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = 'Copied';
      } catch {
        button.textContent = 'Selected';
      }
    });
  }

  // Filters. A case of the matrix that has a place of its own is told by that.
  const form = one('#filters');
  const causes = all('.cause').map((element) => ({
    element,
    signature: element.dataset.signature,
    cases: all('.case', element).map((box) => ({
      box,
      verdict: box.dataset.verdict,
      cell: box.dataset.cell,
      text: (one('h3', element).textContent + ' ' + one('summary', box).textContent).toLowerCase(),
    })),
  }));
  const told = new Map();
  for (const cause of causes) {
    for (const it of cause.cases) told.set(it.box.id, { ...it, signature: cause.signature });
  }
  const cells = all('.matrix thead th').slice(1).map((head) => head.textContent);
  const rows = all('.matrix tbody tr').map((element) => {
    const scenario = one('th', element).textContent;
    const boxes = all('td', element).flatMap((box, column) => {
      if (!box.className) return [];
      const link = one('a', box);
      const verdict = box.classList[0].slice(2);
      const text = (scenario + ' ' + cells[column]).toLowerCase();
      const own = link && told.get(link.hash.slice(1));
      return [{ verdict, cell: cells[column], text, ...own, box }];
    });
    return { element, boxes };
  });

  const apply = () => {
    const verdicts = new Set(all('input[name=verdict]:checked', form).map((input) => input.value));
    const words = one('#search').value.toLowerCase().split(/\s+/).filter(Boolean);
    const cell = one('#cell').value;
    const signature = one('#cause')?.value ?? '';
    const fits = (it, itsSignature) =>
      verdicts.has(it.verdict) && (!cell || it.cell === cell) &&
      (!signature || itsSignature === signature) && words.every((word) => it.text.includes(word));
    for (const cause of causes) {
      let any = false;
      for (const it of cause.cases) {
        it.box.hidden = !fits(it, cause.signature);
        any ||= !it.box.hidden;
      }
      cause.element.hidden = !any;
    }
    let shown = 0;
    let count = 0;
    for (const row of rows) {
      let any = false;
      for (const it of row.boxes) {
        const fit = fits(it, it.signature);
        it.box.classList.toggle('dim', !fit);
        any ||= fit;
        shown += fit;
        count += 1;
      }
      row.element.hidden = !any;
    }
    one('#shown').textContent = `${shown} of ${count} cases shown`;
  };
  form.addEventListener('input', apply);
  form.addEventListener('submit', (event) => event.preventDefault());
  // Fields have their first values only after the event.
  form.addEventListener('reset', () => setTimeout(apply));
  addEventListener('keydown', (event) => {
    const typing = event.target.matches?.('input, select, textarea');
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      one('#search').focus();
    } else if (event.key === 'Escape' && event.target === one('#search')) {
      event.target.value = '';
      apply();
    }
  });
  form.hidden = false;
  apply();
})();
