dnl TOR_WITH_CIRCFLOW
dnl
dnl Adds --with-circflow[=PATH]: conflux by circflow. It is off by default.
dnl Without a path, pkg-config says where circflow is. A path is the prefix
dnl that circflow was installed to; its static library is taken then.
dnl
dnl Sets CIRCFLOW_CFLAGS and CIRCFLOW_LIBS, defines USE_CIRCFLOW in orconfig.h,
dnl and gives automake a condition of that name.
AC_DEFUN([TOR_WITH_CIRCFLOW], [
AC_ARG_WITH([circflow],
  AS_HELP_STRING([--with-circflow@<:@=PATH@:>@],
                 [let circflow do conflux (default: no)]),
  [], [with_circflow=no])

AS_CASE([$with_circflow],
  [no], [CIRCFLOW_CFLAGS= CIRCFLOW_LIBS=],
  [yes], [
    PKG_CHECK_MODULES([CIRCFLOW], [circflow >= 0.1.0], [], [
      AC_MSG_ERROR([Unable to find circflow requested by --with-circflow. Give the path that it was installed to, or $pkg_config_user_action.])
    ])
  ],
  [
    dnl There and nowhere else.
    tor_saved_PKG_CONFIG="$PKG_CONFIG"
    PKG_CONFIG="env PKG_CONFIG_PATH= PKG_CONFIG_LIBDIR=$with_circflow/lib/pkgconfig:$with_circflow/lib64/pkgconfig $PKG_CONFIG"
    PKG_CHECK_MODULES([CIRCFLOW], [circflow-static >= 0.1.0], [], [
      AC_MSG_ERROR([Unable to find circflow in $with_circflow, as --with-circflow says: there is no circflow-static.pc, or no pkg-config.])
    ])
    PKG_CONFIG="$tor_saved_PKG_CONFIG"
  ])

AS_IF([test "x$with_circflow" != "xno"], [
  AC_MSG_CHECKING([whether a program with circflow can be linked])
  tor_saved_CPPFLAGS="$CPPFLAGS"
  tor_saved_LIBS="$LIBS"
  CPPFLAGS="$CPPFLAGS $CIRCFLOW_CFLAGS"
  LIBS="$CIRCFLOW_LIBS $LIBS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <circflow.h>]],
                                  [[return circflow_version() == 0;]])],
    [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([circflow is there, but cannot be linked; see config.log.])])
  CPPFLAGS="$tor_saved_CPPFLAGS"
  LIBS="$tor_saved_LIBS"
  AC_DEFINE([USE_CIRCFLOW], [1], [Define to 1 if circflow does conflux.])
])

AM_CONDITIONAL([USE_CIRCFLOW], [test "x$with_circflow" != "xno"])
])
