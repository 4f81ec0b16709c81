#include "machines.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAMES_MAX = 64, NAME_CAP = 64 };

static const char *const endings[] = {"-client.txt", "-exit.txt", ".txt"};

/* Returns the name of the machines in a file, or an empty string for another file. */
static void name_of(const char *file, char name[NAME_CAP]) {
    const size_t len = strlen(file);
    name[0] = '\0';
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const size_t ending = strlen(endings[i]);
        if (len <= ending || len - ending >= NAME_CAP || strcmp(file + len - ending, endings[i]) != 0) continue;
        memcpy(name, file, len - ending);
        name[len - ending] = '\0';
        return;
    }
}

static int by_name(const void *one, const void *other) { return strcmp(one, other); }

static size_t list(char names[NAMES_MAX][NAME_CAP]) {
    size_t count = 0;
    DIR *folder = opendir(MACHINES_FOLDER);
    if (folder == NULL) return 0;
    for (const struct dirent *entry; count < NAMES_MAX && (entry = readdir(folder)) != NULL;) {
        name_of(entry->d_name, names[count]);
        if (names[count][0] != '\0') count++;
    }
    closedir(folder);
    qsort(names, count, NAME_CAP, by_name);
    return count;
}

static void refuse(const char *name) {
    static char names[NAMES_MAX][NAME_CAP];
    const size_t count = list(names);
    fprintf(stderr, "demo: FAILED: there are no padding machines '%s' in %s; there are:", name, MACHINES_FOLDER);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0) fprintf(stderr, " %s", names[i]);
    fputc('\n', stderr);
    exit(2);
}

static int find(const char *name, const char *ending, char path[MACHINES_PATH_CAP]) {
    const int len = snprintf(path, MACHINES_PATH_CAP, "%s/%s%s", MACHINES_FOLDER, name, ending);
    return len < MACHINES_PATH_CAP && access(path, R_OK) == 0;
}

void machines_find(const char *name, char paths[ENDS][MACHINES_PATH_CAP]) {
    if (strchr(name, '/') != NULL) refuse(name);
    if (find(name, ".txt", paths[AT_CLIENT]) && find(name, ".txt", paths[AT_OTHER])) return;
    if (find(name, "-client.txt", paths[AT_CLIENT]) && find(name, "-exit.txt", paths[AT_OTHER])) return;
    refuse(name);
}
