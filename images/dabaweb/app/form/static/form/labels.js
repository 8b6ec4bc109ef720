/* A field with suggestions has no name for screen readers: Select2 names it by its value alone. */
function nameFields() {
    for (const select of document.querySelectorAll("select.admin-autocomplete")) {
        const [label] = select.labels;
        const field = select.nextElementSibling?.querySelector(".select2-selection");
        const value = field?.querySelector(".select2-selection__rendered");
        if (label && value) {
            label.id = `${select.id}-label`;
            field.setAttribute("aria-labelledby", `${label.id} ${value.id}`);
            value.setAttribute("aria-labelledby", label.id);
        }
    }
}

// After Django's own listeners, which create the fields, and in the same queue.
window.django?.jQuery?.(nameFields);
document.addEventListener("formset:added", nameFields);
