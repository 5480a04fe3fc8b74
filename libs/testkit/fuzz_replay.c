/* Feeds every file of a corpus folder to a fuzz target, once: what ctest runs without libFuzzer. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t size = 0;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        (void)fprintf(stderr, "%s: cannot be read (errno %d)\n", path, errno);
        return -1;
    }
    size = (size_t)ftell(file);
    rewind(file);
    data = malloc(size == 0 ? 1 : size); /* exact, so that ASan sees a read past the end */
    if (data == NULL || fread(data, 1, size, file) != size) {
        abort();
    }
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    const struct dirent *entry;
    unsigned files = 0;

    if (dir == NULL) {
        (void)fprintf(stderr, "usage: %s CORPUS-FOLDER (which must exist)\n", argv[0]);
        return EXIT_FAILURE;
    }
    while ((entry = readdir(dir)) != NULL) { /* NOLINT(concurrency-mt-unsafe): one thread */
        char path[4096];

        if (entry->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        if (replay(path) != 0) {
            return EXIT_FAILURE;
        }
        files++;
    }
    (void)closedir(dir);
    (void)fprintf(stderr, "%s: %u inputs\n", argv[1], files);
    return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
