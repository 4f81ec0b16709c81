/* Writes behind a block of heap memory, on purpose: the proof that the sanitizer is there and looks. */

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    size_t size = 8 * (size_t)argc; /* Unknown to the compiler, which would warn. */
    char *block = malloc(size);
    (void)argv;
    if (block == NULL)
        return 2;
    block[size] = 'x';
    printf("%c\n", block[size]);
    free(block);
    return 0;
}
