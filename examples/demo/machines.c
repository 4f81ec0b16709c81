#include "machines.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
    fprintf(stderr, "demo: FAILED: no padding machines '%s': there is no such file, and in %s there are only:", name,
            MACHINES_FOLDER);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0) fprintf(stderr, " %s", names[i]);
    fputc('\n', stderr);
    exit(2);
}

static int find(const char *folder, const char *name, const char *ending, char path[MACHINES_PATH_CAP]) {
    const int len = snprintf(path, MACHINES_PATH_CAP, "%s%s%s", folder, name, ending);
    struct stat info;
    return len < MACHINES_PATH_CAP && stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, R_OK) == 0;
}

void machines_find(const char *name, char paths[ENDS][MACHINES_PATH_CAP]) {
    static const char *const folders[] = {MACHINES_FOLDER "/", ""};
    static const char *const pairs[][ENDS] = {{".txt", ".txt"}, {"-client.txt", "-exit.txt"}, {"", ""}};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        for (size_t j = 0; j < sizeof pairs / sizeof pairs[0]; j++)
            if (find(folders[i], name, pairs[j][AT_CLIENT], paths[AT_CLIENT]) &&
                find(folders[i], name, pairs[j][AT_OTHER], paths[AT_OTHER]))
                return;
    refuse(name);
}
