/** The registry on loopback. */
import { nameHere } from "../engine/images";
import { ServiceStep } from "../engine/service";
import { images, tagged } from "../pins";
import { names, places, ports } from "../places";

export const registryStep = (): ServiceStep =>
    new ServiceStep({
        name: "registry",
        needs: ["registry image"],
        container: names.registry,
        port: ports.registry,
        containerPort: 5000,
        data: places().registryData,
        containerData: "/var/lib/registry",
        env: ["REGISTRY_STORAGE_DELETE_ENABLED=true", "OTEL_TRACES_EXPORTER=none"],
        command: async () => [await registryImage()],
        page: "/v2/",
        isWell: ({ ok }) => ok,
    });

/** The name that the registry's image has here: one that was built here has no digest. */
export async function registryImage(): Promise<string> {
    return (await nameHere(images.registry)) ?? tagged(images.registry);
}
