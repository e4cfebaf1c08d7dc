// Turns a pair of images into a before/after slider, moved by pointer or arrow keys.
for (const figure of document.querySelectorAll(".compare")) {
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, max: 100, value: 50 });
  slider.setAttribute("aria-label", figure.dataset.label);
  const move = () => figure.style.setProperty("--share", `${slider.value}%`);
  slider.addEventListener("input", move);
  move();
  figure.append(slider);
  figure.classList.add("ready");
}
