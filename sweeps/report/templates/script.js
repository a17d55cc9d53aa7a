// Sorts, filters, highlights. The page is complete without it: it only moves rows and marks copies.
"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (name, text, cls) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (cls) element.className = cls;
    return element;
  };
  document.body.classList.add("live");
  all(".scripted:not(#chosen)").forEach((element) => { element.hidden = false; });

  // One cost axis at a time.
  all("figure.choice").forEach((figure) => {
    const parts = [all(".plot", figure), all(".says", figure)];
    const show = (index) => parts.forEach((part) =>
      part.forEach((element, i) => element.classList.toggle("shown", i === index)));
    figure.classList.add("one");
    show(0);
    all("input", figure).forEach((input, i) => {
      input.checked = i === 0;
      input.addEventListener("change", () => show(i));
    });
  });

  const table = document.getElementById("trial-table");
  if (!table) return;
  const body = table.tBodies[0];
  const shownAtMost = body.rows.length;
  const headings = all("thead th", table);
  const ranking = headings.findIndex((heading) => heading.hasAttribute("aria-sort"));

  // A trial's number is its place in the list as it was written: rows first, then the data.
  const trials = [...body.rows].map((row) => ({ cells: [...row.cells].map((c) => c.textContent.trim()), row }));
  const more = document.getElementById("more-trials");
  if (more) JSON.parse(more.textContent).rows.forEach((cells) => trials.push({ cells }));
  trials.forEach((trial, number) => { trial.number = number; });

  const rowOf = (trial) => {
    if (!trial.row) {
      trial.row = make("tr");
      trial.cells.forEach((text, i) => {
        const cell = trial.row.appendChild(make(i ? "td" : "th", text));
        if (!i) cell.scope = "row";
      });
    }
    const row = trial.row;
    if (row.dataset.number === undefined) {
      row.dataset.number = trial.number;
      const button = make("button", trial.cells[0]);
      button.type = "button";
      button.setAttribute("aria-pressed", "false");
      row.cells[0].replaceChildren(button);
    }
    return row;
  };

  // Sorting and filtering.
  const count = document.querySelector("output[name=count]");
  const filters = all(".filters input, .filters select");
  let order = trials;
  const shown = () => {
    const [words, method, state] = filters.map((f) => f.value);
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    const found = order.filter(({ cells }) => {
      if ((method && cells[1] !== method) || (state && cells[2] !== state)) return false;
      const text = cells.join(" ").toLowerCase();
      return wanted.every((word) => text.includes(word));
    });
    body.replaceChildren(...found.slice(0, shownAtMost).map(rowOf));
    const cut = found.length > shownAtMost ? `, the first ${shownAtMost} shown` : "";
    count.value = `${found.length} of ${trials.length}${cut}`;
  };
  const value = (text) => (text === "" || Number.isNaN(Number(text)) ? null : Number(text));
  const compare = (a, b) => {
    const x = value(a), y = value(b);
    if (x !== null && y !== null) return x - y;
    if (x !== null || y !== null) return x !== null ? -1 : 1;
    return a.localeCompare(b);
  };
  const missing = (text) => text === "-" || text === "–" || text === "";
  headings.forEach((heading, column) => {
    const button = make("button");
    button.append(...heading.childNodes);
    button.type = "button";
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      order = [...trials].sort((p, q) => {
        const a = p.cells[column], b = q.cells[column];
        if (missing(a) || missing(b)) return missing(a) - missing(b) || p.number - q.number;
        return (down ? -1 : 1) * compare(a, b) || p.number - q.number;
      });
      shown();
    });
  });
  filters.forEach((filter) => filter.addEventListener("input", shown));

  // Highlighting: a copy of each of the trial's marks is laid over its figure.
  const known = new Map();
  const dots = (path) => {
    if (!known.has(path)) {
      const places = path.getAttribute("d").split(/M|h0/).filter(Boolean);
      const numbers = path.dataset.ts.split(" ");
      known.set(path, numbers.map((number, i) => ({ number, at: places[i].split(" ").map(Number) })));
    }
    return known.get(path);
  };
  const lay = (number, css) => {
    all(`.plot .${css}`).forEach((mark) => mark.remove());
    if (number === null) return;
    all(`.plot [data-t="${number}"]`).forEach((mark) => {
      const copy = mark.cloneNode();
      copy.removeAttribute("data-t");
      copy.setAttribute("class", css);
      mark.ownerSVGElement.append(copy);
    });
    all("path.ts").forEach((path) => dots(path).forEach((dot) => {
      if (dot.number !== String(number)) return;
      const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
      Object.entries({ class: css, cx: dot.at[0], cy: dot.at[1], r: 7 }).forEach(([k, v]) => circle.setAttribute(k, v));
      path.ownerSVGElement.append(circle);
    }));
  };
  const panel = document.getElementById("chosen");
  let chosen = null;
  const choose = (number) => {
    if (chosen !== null) mark(trials[chosen], false);
    chosen = number === chosen ? null : number;
    lay(chosen, "chosen");
    panel.hidden = chosen === null;
    if (chosen === null) return;
    const trial = trials[chosen];
    mark(trial, true);
    const top = make("header"), close = make("button", "Close"), list = make("dl");
    close.type = "button";
    close.addEventListener("click", () => leave(trial));
    top.append(make("h2", `Trial ${trial.cells[0]}`), close);
    trial.cells.slice(1).forEach((text, i) => {
      const entry = list.appendChild(make("div"));
      entry.append(make("dt", headings[i + 1].textContent.trim()), make("dd", text));
    });
    panel.replaceChildren(top, list);
    count.value = `Trial ${trial.cells[0]} is highlighted in every figure that shows it`;
  };
  const mark = (trial, on) => {
    const row = rowOf(trial);
    row.classList.toggle("on", on);
    row.querySelector("button").setAttribute("aria-pressed", String(on));
  };
  const leave = (trial) => {
    choose(trial.number);
    if (trial.row.isConnected) trial.row.querySelector("button").focus();
  };
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row) choose(Number(row.dataset.number));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && chosen !== null) leave(trials[chosen]);
  });

  // What is under the pointer: the nearest dot, or a line within a few pixels.
  const under = (event) => {
    const svg = event.target.closest?.(".plot svg");
    if (!svg) return null;
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let nearest = null, least = 12;
    all("path.ts", svg).forEach((path) => dots(path).forEach((dot) => {
      const distance = Math.hypot(dot.at[0] - point.x, dot.at[1] - point.y);
      if (distance < least) [nearest, least] = [dot.number, distance];
    }));
    if (nearest !== null) return nearest === "-" ? null : Number(nearest);
    for (const [dx, dy] of [[0, 0], [0, 3], [0, -3], [3, 0], [-3, 0], [0, 6], [0, -6]]) {
      const line = document.elementFromPoint(event.clientX + dx, event.clientY + dy)?.closest("[data-t]");
      if (line) return Number(line.dataset.t);
    }
    return null;
  };
  const tip = document.getElementById("tip");
  let hovered = null;
  document.addEventListener("pointermove", (event) => {
    const number = under(event);
    if (number !== hovered) lay(hovered = number, "under");
    tip.hidden = number === null;
    if (number === null) return;
    const { cells } = trials[number];
    tip.textContent = `${cells[0]}: ${cells[ranking]} (${cells[2]})`;
    tip.style.left = `${Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${event.clientY > 60 ? event.clientY - 38 : event.clientY + 18}px`;
  });
  document.addEventListener("click", (event) => {
    const number = under(event);
    if (number !== null) choose(number);
  });

  trials.slice(0, shownAtMost).forEach(rowOf);
  shown();
})();
