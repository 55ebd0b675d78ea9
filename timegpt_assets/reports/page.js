// Makes what is already there better to use: pictures answer to the pointer, tables sort, folds open on paper.
(() => {
  const narrow = matchMedia("(max-width: 600px)").matches, coarse = matchMedia("(pointer: coarse)").matches;

  const unpacked = async (id) => {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };

  // every mark of a specification, and what holds marks; its rows are not looked through
  const each = (node, visit) => {
    if (!node || typeof node !== "object") return;
    visit(node);
    for (const [name, child] of Object.entries(node)) if (name !== "data" && name !== "datasets") each(child, visit);
  };

  // figures under the pointer, on lines too; an axis of time is dragged, and zoomed where a wheel is there to do it
  const answering = (spec) => {
    let axes = 0;
    spec.config.mark = { tooltip: true };
    each(spec, (n) => { if (n.mark?.type === "line" && !n.mark.point) n.mark.point = { opacity: 0, size: 250, filled: true }; });
    if (coarse) return spec;
    const views = spec.concat || [spec];
    views.forEach((view) => {
      let first = null;
      each(view, (n) => { if (!first && n.mark && n.encoding?.x?.type === "temporal") first = n; });
      const select = { type: "interval", encodings: ["x"], zoom: "wheel![event.shiftKey]" };
      if (first) first.params = [{ name: `time${axes++}`, select, bind: "scales" }];
    });
    return spec;
  };

  // as wide as its column: what stands side by side goes below each other where there is no room
  const fitted = (spec, width) => {
    if (narrow) each(spec, (n) => {
      if (n.labelLimit) n.labelLimit = Math.min(n.labelLimit, 130);
      if (n.legend && typeof n.legend === "object") n.legend.columns = 1;
      if (n.axis && Array.isArray(n.axis.values)) n.axis.labelOverlap = true;
    });
    const frames = spec.concat || spec.vconcat;
    if (!frames) return Object.assign(spec, { width, autosize: { type: "fit-x", contains: "padding" } });
    const columns = spec.vconcat ? 1 : Math.max(1, Math.min(spec.columns || 1, Math.floor(width / 300)));
    if (spec.concat) spec.columns = columns;
    frames.forEach((f) => { f.width = Math.floor(width / columns) - (spec.vconcat ? 75 : 85); });
    return spec;
  };

  const drawn = async (figure, spec) => {
    const live = figure.querySelector(".live");
    figure.classList.add("drawn");
    try {
      await vegaEmbed(live, fitted(answering(spec), live.clientWidth), {
        renderer: "svg", actions: false, logLevel: 1, tooltip: { theme: "light" },
      });
    } catch (error) { figure.classList.remove("drawn"); console.warn("picture stays still:", error); }
  };

  const pictures = async () => {
    if (!document.getElementById("specs")) return;
    const [specs, code] = await Promise.all([unpacked("specs"), unpacked("vega")]);
    const script = document.createElement("script");
    script.textContent = code;
    document.head.append(script);
    const all = JSON.parse(specs), seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
      if (!entry.isIntersecting) return;
      seen.unobserve(entry.target);
      drawn(entry.target, all[entry.target.dataset.picture]);
    }), { rootMargin: "300px" });
    document.querySelectorAll("figure[data-picture]").forEach((figure) => seen.observe(figure));
  };

  const value = (row, column) => row.cells[column].textContent;
  const amount = (text) => parseFloat(text.replace(/[−–]/g, "-").replace(/[^0-9.eE+-]/g, ""));
  const sorted = (table, column, up) => {
    const rows = [...table.tBodies[0].rows];
    const counts = rows.every((row) => /^[-+$−–\d.,%\se]+$/.test(value(row, column)) && !/\d-\d/.test(value(row, column)));
    const order = (a, b) => counts ? (amount(a) || 0) - (amount(b) || 0) : a.localeCompare(b);
    rows.sort((a, b) => (up ? 1 : -1) * order(value(a, column), value(b, column)));
    table.tBodies[0].append(...rows);
  };

  document.querySelectorAll("table.sortable").forEach((table) => {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        sorted(table, column, up);
      });
    });
    const label = document.createElement("label"), input = document.createElement("input");
    label.className = "search";
    input.type = "search";
    label.append("search", input);
    table.parentElement.before(label);
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase();
      for (const row of table.tBodies[0].rows) row.hidden = !row.textContent.toLowerCase().includes(words);
    });
  });

  // on a phone a wide table is a list: each row's cells below each other, each with its name
  const stacked = (table) => {
    if (table.offsetWidth <= table.parentElement.clientWidth) return;
    const names = [...table.tHead.rows[0].cells].map((head) => head.textContent);
    for (const row of table.tBodies[0].rows) [...row.cells].forEach((cell, at) => {
      cell.dataset.name = names[at];
      cell.classList.toggle("whole", names[at].length + cell.textContent.length > 24);
    });
    table.classList.add("stacked");
  };
  const tables = (place) => place.querySelectorAll("table:not(.pairs, .stacked)").forEach(stacked);
  if (narrow) {
    tables(document);
    // in older browsers what is folded has no width until it is opened
    document.querySelectorAll("details").forEach((fold) => fold.addEventListener("toggle", () => tables(fold)));
  }

  let shut = [];
  addEventListener("beforeprint", () => {
    shut = [...document.querySelectorAll("details:not([open], .unprinted)")];
    shut.forEach((fold) => { fold.open = true; });
  });
  addEventListener("afterprint", () => shut.forEach((fold) => { fold.open = false; }));
  addEventListener("load", pictures);
})();
