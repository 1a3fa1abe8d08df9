/* Prints the level that "net" takes, the status of its self-test, and of that at levels 2 to 4. */
#include <stdio.h>

#include "net.h"

int main(void) {
  int level;
  printf("%d %d", net_level(), net_self_test(1));
  for (level = 2; level <= 4; level++) {
    int status = net_select(level);
    printf(" %d", status ? status : net_self_test(1));
  }
  printf("\n");
  return 0;
}
