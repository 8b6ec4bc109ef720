# Stand-in for the official mysql image: MySQL 9.7 LTS from Debian sid, the only suite that has it, on Debian 13. Libraries that it needs
# newer than Debian 13 has them come from sid as well. sid's index may be past its Valid-Until on a mirror.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN sed -n 's/^\(deb [^ ]*\) trixie main$/\1 sid main/p' /etc/apt/sources.list >/etc/apt/sources.list.d/sid.list \
    && apt-get -o Acquire::Check-Valid-Until=false update \
    && apt-get install --target-release=sid mysql-server-core mysql-client \
    && rm -rf /var/lib/apt/lists/* /etc/apt/sources.list.d/sid.list /etc/mysql /var/lib/mysql \
    && (id mysql >/dev/null 2>&1 || useradd --system --uid 999 --home-dir /var/lib/mysql --shell /usr/sbin/nologin mysql) \
    && mkdir -p /var/lib/mysql /run/mysqld && chown mysql:mysql /var/lib/mysql /run/mysqld
EXPOSE 3306
CMD ["mysqld"]
